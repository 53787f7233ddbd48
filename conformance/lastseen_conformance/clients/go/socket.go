package main

import (
	"errors"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// socket is one WebSocket: a goroutine reads it, another pings.
type socket struct {
	conn *websocket.Conn
}

// ending says how a connection ended: by a close frame, a refused upgrade, or neither.
type ending struct {
	code   int
	status int
}

// dial opens a socket; without one it says why. No redirect is followed.
func dial(url string) (*socket, ending) {
	dialer := websocket.Dialer{HandshakeTimeout: timer("CONNECT_TIMEOUT", 10)}
	conn, response, err := dialer.Dial(url, http.Header{})
	if err != nil {
		if response != nil {
			return nil, ending{status: response.StatusCode}
		}
		return nil, ending{}
	}
	return &socket{conn: conn}, ending{}
}

// read gives out every message, until the end.
func (s *socket) read(limit int64, interval, timeout time.Duration, take func(kind int, data []byte)) ending {
	defer s.conn.Close()
	heard := func() { s.conn.SetReadDeadline(time.Now().Add(interval + timeout)) }
	s.conn.SetReadLimit(limit)
	s.conn.SetPongHandler(func(string) error { heard(); return nil })
	over := make(chan struct{})
	defer close(over)
	go s.ping(interval, over)
	heard()
	for {
		kind, data, err := s.conn.ReadMessage()
		if err != nil {
			var closed *websocket.CloseError
			if errors.As(err, &closed) {
				return ending{code: closed.Code}
			}
			return ending{}
		}
		heard()
		if kind == websocket.TextMessage && !utf8.Valid(data) {
			s.hangUp(websocket.CloseInvalidFramePayloadData)
			return ending{}
		}
		take(kind, data)
	}
}

func (s *socket) ping(interval time.Duration, over <-chan struct{}) {
	beat := time.NewTicker(interval)
	defer beat.Stop()
	for {
		select {
		case <-over:
			return
		case <-beat.C:
			s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second))
		}
	}
}

func (s *socket) send(data []byte) {
	s.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if s.conn.WriteMessage(websocket.TextMessage, data) != nil {
		s.conn.Close()
	}
}

// hangUp says good-bye and gives the peer a second to answer.
func (s *socket) hangUp(code int) {
	s.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(time.Second))
	time.AfterFunc(time.Second, func() { s.conn.Close() })
}
