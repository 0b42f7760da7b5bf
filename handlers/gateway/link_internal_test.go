package gateway

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// pipeWriter is a response that can be hijacked.
type pipeWriter struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (w pipeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.conn, bufio.NewReadWriter(bufio.NewReader(w.conn), bufio.NewWriter(w.conn)), nil
}

var _ http.Hijacker = pipeWriter{}

// TestSilenceIsNotMeasuredByTheClockOnTheWall looks for the monotonic part of a time: with it a clock that is set makes
// no connection look silent.
func TestSilenceIsNotMeasuredByTheClockOnTheWall(t *testing.T) {
	client, server := net.Pipe()
	defer func() { _, _ = client.Close(), server.Close() }()
	h := &hijacker{ResponseWriter: pipeWriter{httptest.NewRecorder(), server}}
	if _, _, err := h.Hijack(); err != nil {
		t.Fatal(err)
	}
	first := h.link.lastHeard()
	go func() { _, _ = client.Write([]byte("x")) }()
	if _, err := h.link.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	second := h.link.lastHeard()
	if !strings.Contains(first.String(), "m=") || !strings.Contains(second.String(), "m=") {
		t.Errorf("heard at %v and %v, without a monotonic part", first, second)
	}
	if !second.After(first) {
		t.Errorf("heard at %v, then at %v", first, second)
	}
}
