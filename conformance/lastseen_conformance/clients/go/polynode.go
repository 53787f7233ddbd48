package main

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

const (
	messageBytesMax = 10 << 20
	itemsMax        = 100_000
	overlapMs       = 5_000
)

var rank = map[string]int{"pending": 1, "timed_out": 2, "confirmed": 3}

// polyNode follows items from pending to confirmed, whatever comes first.
type polyNode struct {
	items         map[string]string
	ofTransaction map[string][]string
	// confirmed are transactions whose confirmation was seen, also before their settlement.
	confirmed map[string]bool
	timers    map[string]*time.Timer
	newestMs  int64
	backoff   *backoff
}

func newPolyNode() *polyNode {
	return &polyNode{
		items:         map[string]string{},
		ofTransaction: map[string][]string{},
		confirmed:     map[string]bool{},
		timers:        map[string]*time.Timer{},
		backoff:       newBackoff(),
	}
}

func (p *polyNode) start() { go p.converse(0) }

// close has nothing to keep: what matters is in the histories.
func (p *polyNode) close() {}

func (p *polyNode) tellState() {
	state := object{}
	for name, item := range p.items {
		state[name] = object{"state": item}
	}
	say("state", object{"state": state})
}

// converse is one connection; it runs beside the goroutine of main.
func (p *polyNode) converse(pause time.Duration) {
	time.Sleep(pause)
	var began time.Time
	socket, end := dial(wsURL + "?" + url.Values{"key": {key}}.Encode())
	if socket != nil {
		presets := append([]string{}, channels...)
		due := time.AfterFunc(time.Hour, func() { socket.conn.Close() })
		// One at a time: answers say nothing of what they answer.
		subscribe := func() {
			due.Stop()
			if len(presets) == 0 {
				began = time.Now()
				return
			}
			socket.send(p.subscription(presets[0]))
			presets = presets[1:]
			due.Reset(timer("LOGIN_TIMEOUT", 10))
		}
		onMain(subscribe)
		end = socket.read(messageBytesMax, timer("PING_INTERVAL", 30), timer("PING_TIMEOUT", 60), func(kind int, data []byte) {
			onMain(func() {
				answer := p.receive(kind, data)
				if began.IsZero() && (answer == "subscribed" || answer == "error") {
					subscribe()
				}
			})
		})
		due.Stop()
	}
	events <- func() {
		if end.status == 401 || end.status == 403 || end.code == 4401 {
			say("anomaly", object{"code": "refused"})
			return
		}
		if !began.IsZero() {
			p.backoff.lasted(time.Since(began))
		}
		go p.converse(p.backoff.pause())
	}
}

func (p *polyNode) subscription(preset string) []byte {
	filters := object{}
	if p.newestMs > 0 {
		filters["since"] = p.newestMs - overlapMs
	}
	text, _ := json.Marshal(object{"action": "subscribe", "type": preset, "filters": filters})
	return text
}

// receive takes a frame and returns its type; what cannot be read is passed over.
func (p *polyNode) receive(kind int, data []byte) string {
	if kind == websocket.BinaryMessage {
		inflated, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(data)), messageBytesMax))
		if err != nil {
			inflated = nil
		}
		data = inflated
	}
	frame := decode(data)
	if frame == nil {
		say("anomaly", object{"code": "unreadable"})
		return ""
	}
	name, _ := frame["type"].(string)
	if name != "snapshot" {
		p.take(frame)
		return name
	}
	list, _ := frame["events"].([]any)
	for _, event := range list {
		p.take(event)
	}
	return name
}

// take takes an event, wrapped or flat.
func (p *polyNode) take(event any) {
	members, _ := event.(object)
	data := members
	if wrapped, ok := members["data"]; ok {
		data, _ = wrapped.(object)
	}
	kind, ok := members["type"].(string)
	if !ok {
		kind, _ = data["event_type"].(string)
	}
	if at, ok := members["timestamp"].(json.Number); ok {
		if ms, err := at.Int64(); err == nil {
			p.newestMs = max(p.newestMs, ms)
		}
	}
	tx, ok := data["tx_hash"].(string)
	switch {
	case !ok:
	case kind == "settlement":
		p.settle(tx, data)
	case kind == "status_update":
		bound(p.confirmed)
		p.confirmed[tx] = true
		for _, name := range p.ofTransaction[tx] {
			p.move(name, "confirmed")
		}
	}
}

func (p *polyNode) settle(tx string, data object) {
	parts := []string{"settlement"}
	for _, field := range []string{"tx_hash", "taker_wallet", "taker_token", "taker_side"} {
		part, _ := data[field].(string)
		if part == "" {
			part = "-"
		}
		parts = append(parts, part)
	}
	name := strings.Join(parts, "/")
	if p.items[name] == "" {
		bound(p.ofTransaction)
		p.ofTransaction[tx] = append(p.ofTransaction[tx], name)
	}
	if data["status"] == "confirmed" || p.confirmed[tx] {
		p.move(name, "confirmed")
	} else {
		p.move(name, "pending")
	}
}

// move goes forward only: an item that was confirmed, or given up, is never pending again.
func (p *polyNode) move(name, state string) {
	if rank[state] <= rank[p.items[name]] {
		return
	}
	if p.items[name] == "" {
		bound(p.items)
	}
	p.items[name] = state
	say("item", object{"key": name, "state": state})
	if waiting := p.timers[name]; waiting != nil {
		waiting.Stop()
		delete(p.timers, name)
	}
	if state == "pending" {
		p.timers[name] = time.AfterFunc(timer("PENDING_TIMEOUT", 15), func() {
			events <- func() { p.move(name, "timed_out") }
		})
	}
}

// onMain does something on the goroutine of main and waits for it.
func onMain(do func()) {
	done := make(chan struct{})
	events <- func() {
		do()
		close(done)
	}
	<-done
}

// bound makes room in a table that is full; which of its oldest goes is left to chance.
func bound[T any](table map[string]T) {
	for name := range table {
		if len(table) < itemsMax {
			return
		}
		delete(table, name)
	}
}
