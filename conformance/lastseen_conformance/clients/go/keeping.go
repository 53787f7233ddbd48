package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

// State and position are in one file, replaced whole, so that neither is ever ahead of the other.

type keptChannel struct {
	Cursor string                       `json:"cursor"`
	Scopes map[string]map[string]object `json:"scopes"`
}

type kept struct {
	Owner      string                 `json:"owner"`
	Epoch      string                 `json:"epoch"`
	Replayable []string               `json:"replayable"`
	Channels   map[string]keptChannel `json:"channels"`
}

var (
	stateFile = filepath.Join(os.Getenv("LASTSEEN_STATE_DIR"), "go.json")
	owner     = wsURL + " " + strings.Join(channels, ",")
)

// save keeps every channel that has a position, with its state; the others start anew.
func (o *oddsPapi) save() {
	all := kept{Owner: owner, Epoch: o.epoch, Replayable: o.replayable, Channels: map[string]keptChannel{}}
	for name, channel := range o.channels {
		if channel.cursor == "" {
			continue
		}
		each := keptChannel{Cursor: channel.cursor, Scopes: map[string]map[string]object{}}
		for entity, scope := range channel.scopes {
			each.Scopes[entity] = scope.state
		}
		all.Channels[name] = each
	}
	data, err := json.Marshal(all)
	if err == nil {
		err = replaceFile(stateFile, data)
	}
	if err != nil {
		say("anomaly", object{"code": "not_kept"})
	}
}

func replaceFile(path string, data []byte) error {
	draft, err := os.Create(path + ".draft")
	if err != nil {
		return err
	}
	_, err = draft.Write(data)
	if err == nil {
		err = draft.Sync()
	}
	if closed := draft.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(path+".draft", path)
}

// load brings back what an earlier life kept; what cannot be used is as good as nothing.
func (o *oddsPapi) load() {
	data, err := os.ReadFile(stateFile)
	if err != nil {
		return
	}
	var all kept
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	if decoder.Decode(&all) != nil || all.Owner != owner {
		return
	}
	o.epoch, o.replayable = all.Epoch, all.Replayable
	for name, each := range all.Channels {
		channel := o.channels[name]
		if channel == nil {
			continue
		}
		channel.cursor, channel.newest = each.Cursor, each.Cursor
		for entity, state := range each.Scopes {
			scope := channel.scope(entity)
			scope.state, scope.synced, scope.verified = state, true, true
		}
	}
}
