package main

import (
	"encoding/json"
	"errors"
	"strings"
)

// What the payloads of OddsPapi mean: the units that the wire replaces whole, by key.

var errPayload = errors.New("a payload is not what it should be")

func isLiveOnly(channel string) bool {
	switch channel {
	case "events", "stats", "injuries", "lineups":
		return true
	}
	return false
}

func isByFixture(channel string) bool { return channel == "odds" || channel == "bookmakers" }

func fixtureOf(payload any) (string, error) {
	members, _ := payload.(object)
	if fixture, ok := members["fixtureId"].(string); ok {
		return fixture, nil
	}
	return "", errPayload
}

// unitsOf are the units of an entry.
func unitsOf(channel string, payload any) (map[string]object, error) {
	fixture, err := fixtureOf(payload)
	if err != nil {
		return nil, err
	}
	members := payload.(object)
	found := map[string]object{}
	add := func(prefix string, value any) error {
		parts, ok := value.(object)
		if !ok {
			return errPayload
		}
		for name, part := range parts {
			unit, ok := part.(object)
			if !ok {
				return errPayload
			}
			found[prefix+"/"+name] = unit
		}
		return nil
	}
	switch channel {
	case "fixtures":
		own := object{}
		for name, value := range members {
			if name != "scores" && name != "clock" && name != "bookmakers" {
				own[name] = value
			}
		}
		found["fixtures/"+fixture] = own
	case "clocks":
		clock, ok := members["clock"].(object)
		if !ok {
			return nil, errPayload
		}
		found["clocks/"+fixture] = clock
	case "odds":
		books, ok := members["odds"].(object)
		if !ok {
			return nil, errPayload
		}
		for book, rows := range books {
			if err := add("odds/"+fixture+"/"+book, rows); err != nil {
				return nil, err
			}
		}
	default:
		return found, add(channel+"/"+fixture, members[channel])
	}
	return found, nil
}

// unitsOfList is what a list of fixtures says of fixtures, scores or clocks.
func unitsOfList(channel string, fixtures []any) (map[string]object, error) {
	found := map[string]object{}
	for _, each := range fixtures {
		if channel == "clocks" && !hasClock(each) {
			continue
		}
		units, err := unitsOf(channel, each)
		if err != nil {
			return nil, err
		}
		for name, unit := range units {
			found[name] = unit
		}
	}
	return found, nil
}

func hasClock(fixture any) bool {
	members, _ := fixture.(object)
	clock, _ := members["clock"].(object)
	for _, value := range clock {
		if value != nil {
			return true
		}
	}
	return false
}

// isOlder compares the units' own times, where both carry one.
func isOlder(ours, theirs object) bool {
	a, aOK := ours["changedAt"].(json.Number)
	b, bOK := theirs["changedAt"].(json.Number)
	if aOK && bOK {
		x, _ := a.Float64()
		y, _ := b.Float64()
		return x < y
	}
	s, sOK := ours["updatedAt"].(string)
	t, tOK := theirs["updatedAt"].(string)
	return sOK && tOK && s < t
}

// visible leaves out what no snapshot can show: inactive rows, and odds of what is over.
func visible(state map[string]object) map[string]object {
	over := map[string]bool{}
	for name, unit := range state {
		status, _ := unit["status"].(object)
		id, _ := status["statusId"].(json.Number)
		if fixture, ok := strings.CutPrefix(name, "fixtures/"); ok && (id == "2" || id == "3") {
			over[fixture] = true
		}
	}
	shown := map[string]object{}
	for name, unit := range state {
		parts := strings.SplitN(name, "/", 3)
		if isByFixture(parts[0]) && (over[parts[1]] || unit["active"] == false) {
			continue
		}
		shown[name] = unit
	}
	return shown
}
