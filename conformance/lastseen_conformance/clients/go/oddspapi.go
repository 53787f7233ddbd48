package main

import (
	"encoding/json"
	"math/rand"
	"time"

	"github.com/gorilla/websocket"
)

const (
	frameBytesMax = 4 << 20
	heldMax       = 20_000
	stuckMax      = 3
	limitClose    = 4003
)

// link is one connection, and what its login said.
type link struct {
	socket     *socket
	epoch      string
	cursors    map[string]string
	acceptedAt time.Time
	moved      bool
	limited    bool
	// proved: its resume has been completed, or it had none.
	proved bool
	due    *time.Timer
}

// oddsPapi is a client of OddsPapi: login, resume, snapshots, and a state that is kept.
//
// Every channel is one of: waiting for a connection, being replayed, or live; each piece of it that
// a snapshot restores is a scope. An entry whose scope has no base waits, and goes on top of it.
type oddsPapi struct {
	channels map[string]*channel
	epoch    string
	// replayable are the channels that the server can replay in this epoch; nil when it never said.
	replayable []string
	owner      *link
	// attempt: there is at most one beside the owner.
	attempt   *link
	refused   bool
	stuck     int
	backoff   *backoff
	fetches   map[source]*restoring
	fetchedAt map[source]time.Time
}

func newOddsPapi() *oddsPapi {
	o := &oddsPapi{
		channels:  map[string]*channel{},
		backoff:   newBackoff(),
		fetches:   map[source]*restoring{},
		fetchedAt: map[source]time.Time{},
	}
	for _, name := range channels {
		o.channels[name] = newChannel(name)
	}
	return o
}

func (o *oddsPapi) start() {
	o.load()
	o.connectIn(0)
}

func (o *oddsPapi) close() { o.save() }

func (o *oddsPapi) tellState() {
	state := map[string]object{}
	for _, channel := range o.channels {
		for _, scope := range channel.scopes {
			for name, unit := range scope.state {
				state[name] = unit
			}
		}
	}
	say("state", object{"state": visible(state)})
}

// Connections: an owner, and at most one attempt at another.

func (o *oddsPapi) connectIn(pause time.Duration) {
	if o.attempt != nil || o.refused {
		return
	}
	link := &link{cursors: map[string]string{}}
	o.attempt = link
	time.AfterFunc(pause, func() { o.converse(link) })
}

// converse is one connection; it runs beside the goroutine of main.
func (o *oddsPapi) converse(link *link) {
	socket, end := dial(wsURL)
	if socket != nil {
		link.socket = socket
		onMain(func() {
			socket.send(o.login(link))
			link.due = time.AfterFunc(timer("LOGIN_TIMEOUT", 10), func() { socket.conn.Close() })
		})
		end = socket.read(frameBytesMax, timer("PING_INTERVAL", 20), timer("PING_TIMEOUT", 20), func(kind int, data []byte) {
			onMain(func() { o.receive(link, kind, data) })
		})
	}
	events <- func() { o.ended(link, end) }
}

// login is the only message of a connection; it carries whole positions or none.
func (o *oddsPapi) login(link *link) []byte {
	message := object{
		"type": "login", "apiKey": key, "clientName": "go", "channels": channels,
		"sportIds": []int{10, 11, 12},
	}
	if o.epoch != "" {
		for name, channel := range o.channels {
			if channel.cursor != "" && o.canReplay(name) {
				link.cursors[name] = channel.cursor
			}
		}
	}
	if len(link.cursors) > 0 {
		link.epoch = o.epoch
		message["serverEpoch"], message["lastSeenId"] = link.epoch, link.cursors
	}
	text, _ := json.Marshal(message)
	return text
}

func (o *oddsPapi) canReplay(name string) bool {
	if o.replayable == nil {
		return true
	}
	for _, each := range o.replayable {
		if each == name {
			return true
		}
	}
	return false
}

// ended: every way back to a connection leads through a pause.
func (o *oddsPapi) ended(link *link, end ending) {
	if link.due != nil {
		link.due.Stop()
	}
	if o.attempt == link {
		o.attempt = nil
	}
	fatal := end.status == 401 || end.status == 403 || end.code == 4000 || end.code == 4001
	if fatal && !link.moved {
		o.refused = true
	}
	if len(link.cursors) > 0 && !link.proved {
		if o.stuck++; o.stuck >= stuckMax {
			o.stuck = 0
			say("anomaly", object{"code": "resume_abandoned"})
			for _, channel := range o.channels {
				channel.forget()
			}
		}
	}
	if o.owner == link {
		o.owner = nil
		o.lose()
	}
	if !link.acceptedAt.IsZero() {
		o.backoff.lasted(time.Since(link.acceptedAt))
	}
	if o.owner == nil || o.owner.moved {
		pause := o.backoff.pause()
		if link.limited || end.code == limitClose {
			pause = max(pause, timer("LIMIT_BACKOFF", 10))
		}
		o.connectIn(pause)
	}
}

// lose: nobody tells us anything any more; no claim stands, and no fetch is of use.
func (o *oddsPapi) lose() {
	for _, fetching := range o.fetches {
		fetching.over = true
	}
	clear(o.fetches)
	for _, channel := range o.channels {
		channel.lose()
	}
	o.claim()
}

// move opens the next connection while this one still speaks: the gateway is about to go.
func (o *oddsPapi) move(link *link) {
	if link.moved {
		return
	}
	link.moved = true
	o.backoff.lasted(time.Since(link.acceptedAt))
	if o.backoff.failures > 0 {
		o.connectIn(o.backoff.pause())
		return
	}
	o.backoff.failures = 1
	o.connectIn(time.Duration(rand.Float64() * float64(timer("HANDOVER_JITTER", 1))))
}

// receive: nothing that a peer sends ends the client.
func (o *oddsPapi) receive(link *link, kind int, data []byte) {
	defer o.claim()
	frame := decode(data)
	name, ok := frame["type"].(string)
	isOwner := link == o.owner
	_, isEntry := frame["channel"]
	switch {
	case !ok || (kind == websocket.BinaryMessage && data[0] != '{'):
		say("anomaly", object{"code": "unreadable"})
		if isOwner {
			o.doubt(o.all())
		}
	case isEntry:
		o.take(link, frame)
	case link.acceptedAt.IsZero() && name == "login_ok":
		o.accept(link, frame)
	case link.acceptedAt.IsZero() && name == "error":
		link.limited = frame["error"] == "too_many_connections"
		o.refused = o.refused || !link.limited
		link.socket.conn.Close()
	case isOwner && name == "resume_complete":
		o.complete(link, frame)
	case isOwner && name == "snapshot_required":
		o.demanded(link, frame)
	case isOwner && name == "reconnect":
		o.move(link)
	}
}

func (o *oddsPapi) all() []*channel {
	return o.those(func(*channel) bool { return true })
}

func one(c *channel) []*channel { return []*channel{c} }

func (o *oddsPapi) those(are func(*channel) bool) []*channel {
	var found []*channel
	for _, name := range channels {
		if channel := o.channels[name]; are(channel) {
			found = append(found, channel)
		}
	}
	return found
}

// accept: from here on nothing counts that another connection says.
func (o *oddsPapi) accept(link *link, frame object) {
	old := o.owner
	o.owner, o.attempt, link.acceptedAt = link, nil, time.Now()
	link.due.Stop()
	resume, _ := frame["resume"].(object)
	epoch, _ := resume["serverEpoch"].(string)
	o.adopt(epoch)
	if listed, ok := resume["replayChannels"]; ok {
		o.replayable = []string{}
		names, _ := listed.([]any)
		for _, each := range names {
			if name, ok := each.(string); ok {
				o.replayable = append(o.replayable, name)
			}
		}
	}
	resumed := o.those(func(c *channel) bool {
		_, sent := link.cursors[c.name]
		return sent && epoch != "" && link.epoch == epoch && c.cursor != "" && o.canReplay(c.name)
	})
	heads, _ := resume["serverEntryIds"].(object)
	for _, channel := range o.channels {
		channel.waiting = nil
	}
	for _, channel := range resumed {
		head, _ := heads[channel.name].(string)
		channel.replaying, channel.head = true, orderOf(head)
	}
	o.doubt(o.those(func(c *channel) bool { return !c.replaying }))
	link.proved = len(resumed) == 0
	link.due = time.AfterFunc(timer("RESUME_TIMEOUT", 15), func() {
		events <- func() {
			if link == o.owner {
				o.doubt(o.those(func(c *channel) bool { return c.replaying }))
				o.claim()
			}
		}
	})
	if old != nil {
		old.socket.hangUp(websocket.CloseNormalClosure)
	}
}

// adopt: in another epoch whatever was known of positions names nothing.
func (o *oddsPapi) adopt(epoch string) {
	if epoch != "" && epoch == o.epoch {
		return
	}
	for _, channel := range o.channels {
		channel.forget()
	}
	o.epoch, o.replayable = epoch, nil
}

// complete: what was replayed goes first, then what came live in between.
func (o *oddsPapi) complete(link *link, frame object) {
	if said, ok := frame["serverEpoch"]; ok && said != o.epoch {
		epoch, _ := said.(string)
		o.adopt(epoch)
		o.doubt(o.all())
		return
	}
	link.due.Stop()
	link.proved, o.stuck = true, 0
	for _, channel := range o.channels {
		for _, each := range channel.replayed() {
			o.apply(channel, each)
		}
	}
}

// demanded: a list that cannot be read concerns every channel; so does another epoch.
func (o *oddsPapi) demanded(link *link, frame object) {
	names, _ := frame["channels"].([]any)
	every := len(names) == 0
	if epoch, ok := frame["serverEpoch"].(string); ok && epoch != o.epoch {
		o.adopt(epoch)
		every = true
	}
	o.doubt(o.those(func(c *channel) bool {
		for _, each := range names {
			if each == c.name {
				return true
			}
		}
		return every
	}))
	if len(o.those(func(c *channel) bool { return c.replaying })) == 0 {
		link.proved, o.stuck = true, 0
	}
}

// take takes an entry; while its channel is replayed it waits for the end of that.
func (o *oddsPapi) take(link *link, frame object) {
	id, hasID := frame["entryId"].(string)
	each := entry{id: id, hasID: hasID, payload: frame["payload"], src: "live"}
	name, _ := frame["channel"].(string)
	channel := o.channels[name]
	switch {
	case channel == nil || link != o.owner:
		say("discarded", object{"channel": name, "id": each.name(), "why": "not ours"})
	case !channel.replaying:
		o.apply(channel, each)
	case len(channel.waiting) < heldMax:
		channel.waiting = append(channel.waiting, each)
	default:
		o.doubt(one(channel))
	}
}

// apply puts an entry into the state, or lets it wait for a base to be put on.
func (o *oddsPapi) apply(channel *channel, each entry) {
	if channel.knows(each.id) {
		say("duplicate", object{"channel": channel.name, "id": each.name()})
		return
	}
	if isLiveOnly(channel.name) {
		o.sayApplied(channel, each)
	} else {
		fresh, err := unitsOf(channel.name, each.payload)
		if err != nil {
			say("anomaly", object{"code": "bad_payload", "channel": channel.name})
			o.doubt(one(channel))
			return
		}
		fixture := ""
		if isByFixture(channel.name) {
			fixture, _ = fixtureOf(each.payload)
		}
		scope := channel.scope(fixture)
		if !scope.verified {
			scope.held = append(scope.held, held{each, fresh})
		}
		switch {
		case scope.synced:
			scope.put(fresh)
			o.sayApplied(channel, each)
		case len(scope.held) > heldMax:
			o.doubt(one(channel))
			return
		default:
			o.want(sourceOf(fixture))
		}
	}
	channel.note(each.id)
	o.settle(channel)
}

func (o *oddsPapi) sayApplied(channel *channel, each entry) {
	var epoch any
	if o.epoch != "" {
		epoch = o.epoch
	}
	say("applied", object{"channel": channel.name, "id": each.name(), "epoch": epoch, "src": each.src})
}

// settle: a channel has a position only while all of it has a base.
func (o *oddsPapi) settle(channel *channel) {
	if o.epoch != "" && channel.isWhole() {
		channel.cursor = channel.newest
	}
	o.save()
}

// doubt: only a snapshot that is asked for after this moment is a base again.
func (o *oddsPapi) doubt(them []*channel) {
	for _, channel := range them {
		channel.doubt()
		for fixture := range channel.scopes {
			o.want(sourceOf(fixture))
		}
	}
	o.save()
}

// claim says what each channel's state is worth, when that has changed.
func (o *oddsPapi) claim() {
	for _, name := range channels {
		if state := o.channels[name].claim(o.owner != nil); state != "" {
			say("status", object{"channel": name, "state": state, "proof": "unproven"})
		}
	}
}
