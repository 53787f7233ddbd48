package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const bodyBytesMax = 32 << 20

var sports = []string{"10", "11", "12"}

// rest follows no redirect, because the key is in the query.
var rest = &http.Client{
	Transport:     &http.Transport{Proxy: nil},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// source is what one answer comes from: a path, and the fixture it is asked for.
type source struct{ path, fixture string }

const (
	listPath = "/fixtures"
	oddsPath = "/fixtures/odds"
)

func sourceOf(fixture string) source {
	if fixture == "" {
		return source{listPath, ""}
	}
	return source{oddsPath, fixture}
}

// ask gets all the answers of a source; without them, how long the server wants to be left alone.
func (s source) ask() (any, time.Duration, error) {
	if s.fixture != "" {
		return get(s.path, url.Values{"fixtureId": {s.fixture}})
	}
	all := []any{}
	for _, sport := range sports {
		answer, wait, err := get(s.path, url.Values{"sportId": {sport}})
		if err != nil {
			return nil, wait, err
		}
		list, ok := answer.([]any)
		if !ok {
			return nil, 0, errPayload
		}
		all = append(all, list...)
	}
	return all, 0, nil
}

func get(path string, query url.Values) (any, time.Duration, error) {
	query.Set("apiKey", key)
	request, err := http.NewRequest(http.MethodGet, httpURL+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Cache-Control", "no-cache")
	asking := *rest
	asking.Timeout = timer("SNAPSHOT_TIMEOUT", 20)
	answer, err := asking.Do(request)
	if err != nil {
		return nil, 0, errors.New("no answer")
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
		return nil, time.Duration(seconds) * time.Second, errors.New(answer.Status)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, bodyBytesMax))
	if err != nil {
		return nil, 0, errors.New("a cut answer")
	}
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil || decoder.More() {
		return nil, 0, errPayload
	}
	return value, 0, nil
}
