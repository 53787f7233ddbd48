package main

import (
	"encoding/json"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"time"
)

var (
	key      = os.Getenv("LASTSEEN_API_KEY")
	wsURL    = os.Getenv("LASTSEEN_WS_URL")
	httpURL  = os.Getenv("LASTSEEN_HTTP_URL")
	channels = strings.Split(os.Getenv("LASTSEEN_CHANNELS"), ",")
)

// object is a JSON object as it came.
type object = map[string]any

// timer is one that the suite gives, or what is used against the vendor.
func timer(name string, seconds float64) time.Duration {
	if given, err := strconv.ParseFloat(os.Getenv("LASTSEEN_"+name+"_S"), 64); err == nil {
		seconds = given
	}
	return time.Duration(seconds * float64(time.Second))
}

// say prints one line of the report; a peer may have repeated the key in what is told.
func say(event string, members object) {
	line := object{"event": event}
	for name, value := range members {
		line[name] = value
	}
	text, err := json.Marshal(line)
	if err != nil {
		return
	}
	os.Stdout.WriteString(strings.ReplaceAll(string(text), key, "***") + "\n")
}

// decode reads one JSON object and keeps the digits of its numbers; nil for anything else.
func decode(data []byte) object {
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	var value object
	if decoder.Decode(&value) != nil || decoder.More() {
		return nil
	}
	return value
}

// backoff makes pauses that double and are jittered; they start anew after a login that lasted.
type backoff struct {
	base, cap time.Duration
	failures  int
}

func newBackoff() *backoff {
	return &backoff{base: timer("BACKOFF_BASE", 1), cap: timer("BACKOFF_CAP", 30)}
}

func (b *backoff) pause() time.Duration {
	whole := b.cap
	if b.failures < 20 {
		whole = min(b.cap, b.base<<b.failures)
	}
	b.failures++
	return whole/2 + time.Duration(rand.Int63n(int64(whole/2)+1))
}

func (b *backoff) lasted(how time.Duration) {
	if how >= timer("STABLE_AFTER", 10) {
		b.failures = 0
	}
}
