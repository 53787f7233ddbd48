package main

import "time"

// restoring is one source that is being asked.
type restoring struct {
	wake chan struct{}
	over bool
}

type mark struct {
	channel *channel
	scope   *scope
	doubts  int
}

// marks are what an answer restores, and how often it had been doubted when it was asked for.
func (o *oddsPapi) marks(from source) []mark {
	var found []mark
	for _, name := range channels {
		channel := o.channels[name]
		scope := channel.scopes[from.fixture]
		if scope != nil && (from.path == listPath || isByFixture(name)) {
			found = append(found, mark{channel, scope, scope.doubts})
		}
	}
	return found
}

// want: something that this source restores has no base.
func (o *oddsPapi) want(from source) {
	if o.owner == nil {
		return
	}
	if fetching := o.fetches[from]; fetching != nil {
		select {
		case fetching.wake <- struct{}{}:
		default:
		}
		return
	}
	fetching := &restoring{wake: make(chan struct{}, 1)}
	o.fetches[from] = fetching
	go o.restore(from, fetching)
}

// restore asks until everything of this source has a base; then once more, a while later. It runs
// beside the goroutine of main.
func (o *oddsPapi) restore(from source, fetching *restoring) {
	pauses := &backoff{base: timer("SNAPSHOT_BACKOFF_BASE", 0.5), cap: timer("SNAPSHOT_BACKOFF_CAP", 60)}
	looks := 0
	for {
		var marks []mark
		var settled time.Duration
		onMain(func() { settled = time.Until(o.fetchedAt[from].Add(timer("SNAPSHOT_SETTLED", 10))) })
		time.Sleep(settled)
		onMain(func() {
			marks = o.marks(from)
			verified, synced := true, true
			for _, each := range marks {
				verified, synced = verified && each.scope.verified, synced && each.scope.synced
			}
			if fetching.over || verified || (looks >= 2 && synced) {
				marks = nil
				if o.fetches[from] == fetching {
					delete(o.fetches, from)
				}
			}
		})
		if marks == nil {
			return
		}
		answer, wait, err := from.ask()
		onMain(func() {
			if err != nil || fetching.over {
				return
			}
			if err = o.rebase(from, marks, answer); err != nil {
				return
			}
			o.fetchedAt[from] = time.Now()
			o.claim()
			looks++
			for _, each := range o.marks(from) {
				if !each.scope.synced {
					looks = 0
				}
			}
			select {
			case <-fetching.wake:
			default:
			}
		})
		if err != nil {
			time.Sleep(max(wait, pauses.pause()))
		} else if looks == 1 {
			select {
			case <-fetching.wake:
			case <-time.After(timer("VERIFY_AFTER", 10)):
			}
		}
	}
}

// rebase puts an answer in place, but where it was doubted after it had been asked for.
func (o *oddsPapi) rebase(from source, marks []mark, answer any) error {
	rows := map[*channel]map[string]object{}
	roster := map[string]bool{}
	list, isList := answer.([]any)
	if !isList {
		list = []any{answer}
	}
	for _, each := range list {
		fixture, err := fixtureOf(each)
		if err != nil || (from.fixture != "" && fixture != from.fixture) {
			return errPayload
		}
		roster[fixture] = true
	}
	for _, each := range marks {
		var err error
		if from.fixture != "" {
			rows[each.channel], err = unitsOf(each.channel.name, answer)
		} else if !isByFixture(each.channel.name) {
			rows[each.channel], err = unitsOfList(each.channel.name, list)
		}
		if err != nil {
			return err
		}
	}
	for _, each := range marks {
		if each.scope.doubts == each.doubts && !each.scope.verified {
			o.place(from, each, rows[each.channel], roster)
		}
	}
	for _, each := range marks {
		o.settle(each.channel)
	}
	return nil
}

func (o *oddsPapi) place(from source, at mark, rows map[string]object, roster map[string]bool) {
	if rows == nil {
		at.scope.synced, at.scope.verified = true, true
		for fixture := range at.channel.scopes {
			if fixture != "" && !roster[fixture] {
				delete(at.channel.scopes, fixture)
			}
		}
		for fixture := range roster {
			if !at.channel.scope(fixture).synced {
				o.want(sourceOf(fixture))
			}
		}
		return
	}
	waited := at.scope.replace(rows)
	var entity any
	if from.fixture != "" {
		entity = from.fixture
	}
	say("snapshot_applied", object{"channel": at.channel.name, "entity": entity, "proof": "unproven"})
	for _, each := range waited {
		o.sayApplied(at.channel, each.entry)
	}
}
