package main

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
)

const seenMax = 4096

var idForm = regexp.MustCompile(`^([0-9]{1,19})-([0-9]{1,19})$`)

// order is an entry's id as two numbers; zero when it is none.
type order struct{ high, low uint64 }

func orderOf(id string) order {
	match := idForm.FindStringSubmatch(id)
	if match == nil {
		return order{}
	}
	high, _ := strconv.ParseUint(match[1], 10, 64)
	low, _ := strconv.ParseUint(match[2], 10, 64)
	return order{high, low}
}

func (o order) compare(other order) int {
	return cmp.Or(cmp.Compare(o.high, other.high), cmp.Compare(o.low, other.low))
}

// entry is one entry of a channel; hasID is false for one whose id is no text.
type entry struct {
	id      string
	hasID   bool
	payload any
	src     string
}

func (e entry) name() any {
	if e.hasID {
		return e.id
	}
	return nil
}

type held struct {
	entry entry
	fresh map[string]object
}

// scope is what one answer restores: a channel, or one fixture of it.
type scope struct {
	state  map[string]object
	synced bool
	// doubts counts; an answer that was asked for before the last one is no base.
	doubts int
	// held came since the last doubt, and goes on top of a snapshot; not once it was looked at twice.
	held     []held
	verified bool
	// fetched are rows that no entry has touched; one of them may be the newer.
	fetched map[string]bool
}

func newScope() *scope { return &scope{state: map[string]object{}, fetched: map[string]bool{}} }

func (s *scope) doubt() {
	s.synced, s.verified, s.held = false, false, nil
	s.doubts++
}

func (s *scope) put(fresh map[string]object) {
	for name, unit := range fresh {
		if s.fetched[name] {
			if isOlder(unit, s.state[name]) {
				continue
			}
			delete(s.fetched, name)
		}
		s.state[name] = unit
	}
}

// replace puts a snapshot in place, and on top of it what came since; it returns what had waited.
func (s *scope) replace(rows map[string]object) []held {
	first, waited := !s.synced, s.held
	s.state, s.fetched, s.synced = rows, map[string]bool{}, true
	for name := range rows {
		s.fetched[name] = true
	}
	for _, each := range waited {
		s.put(each.fresh)
	}
	if first {
		return waited
	}
	s.verified, s.held = true, nil
	return nil
}

// channel is a channel of the subscription.
type channel struct {
	name string
	// scopes are by fixture where snapshots are, with the list of fixtures as one more; else one.
	scopes    map[string]*scope
	cursor    string
	newest    string
	seen      map[string]bool
	seenOrder []string
	replaying bool
	// head is where the server was at the login: what is above came live.
	head    order
	waiting []entry
	said    string
}

func newChannel(name string) *channel {
	c := &channel{name: name, scopes: map[string]*scope{}, seen: map[string]bool{}}
	if !isLiveOnly(name) {
		c.scopes[""] = newScope()
	}
	return c
}

func (c *channel) scope(fixture string) *scope {
	if c.scopes[fixture] == nil {
		c.scopes[fixture] = newScope()
	}
	return c.scopes[fixture]
}

func (c *channel) isWhole() bool {
	for _, scope := range c.scopes {
		if !scope.synced {
			return false
		}
	}
	return !c.replaying
}

// knows tells an entry that was there: the very id, or one that is not above in either half.
func (c *channel) knows(id string) bool {
	now, newest := orderOf(id), orderOf(c.newest)
	if now == (order{}) {
		return false
	}
	return c.seen[id] || (newest != order{} && now.high <= newest.high && now.low <= newest.low)
}

func (c *channel) note(id string) {
	if orderOf(id) == (order{}) {
		return
	}
	c.newest = id
	if !c.seen[id] {
		c.seen[id] = true
		c.seenOrder = append(c.seenOrder, id)
	}
	if len(c.seenOrder) > seenMax {
		delete(c.seen, c.seenOrder[0])
		c.seenOrder = c.seenOrder[1:]
	}
}

// replayed ends the replay; it gives what waited, the replayed entries first.
func (c *channel) replayed() []entry {
	if !c.replaying {
		return nil
	}
	waiting := c.waiting
	c.replaying, c.waiting = false, nil
	isLive := func(e entry) bool { return orderOf(e.id) == (order{}) || orderOf(e.id).compare(c.head) > 0 }
	if c.head == (order{}) {
		slices.SortStableFunc(waiting, func(a, b entry) int { return orderOf(a.id).compare(orderOf(b.id)) })
		isLive = func(e entry) bool { return orderOf(e.id) == (order{}) }
	}
	var old, live []entry
	for _, e := range waiting {
		if isLive(e) {
			live = append(live, e)
		} else {
			e.src = "replay"
			old = append(old, e)
		}
	}
	return append(old, live...)
}

func (c *channel) doubt() {
	c.cursor, c.replaying, c.waiting = "", false, nil
	for _, scope := range c.scopes {
		scope.doubt()
	}
}

// forget is for another epoch: no id that was seen means anything.
func (c *channel) forget() {
	c.cursor, c.newest, c.replaying = "", "", false
	c.seen, c.seenOrder = map[string]bool{}, nil
}

// lose is for a connection that is gone; what was whole stays so, up to its cursor.
func (c *channel) lose() {
	c.replaying, c.waiting = false, nil
	for _, scope := range c.scopes {
		if scope.synced {
			scope.verified, scope.held = true, nil
		} else {
			scope.doubt()
		}
	}
}

// claim is what may be said of it; empty when that was said last.
func (c *channel) claim(connected bool) string {
	now := "syncing"
	switch {
	case isLiveOnly(c.name):
		now = "live_only"
	case !connected:
		now = "stale"
	case c.replaying:
		now = "resuming"
	case c.isWhole():
		now = "synced"
	}
	if now == c.said || (c.said == "" && now == "stale") {
		return ""
	}
	c.said = now
	return now
}
