package httpapi_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"mpim/handlers/httpapi"
)

// A body that does not arrive is answered, and its connection closed, whoever sends it and wherever to.
func TestASlowBodyIsCutOff(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *httpapi.Config) { c.BodyTimeout = 50 * time.Millisecond })
	token := s.login(t, "alice")
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	for name, c := range map[string]struct {
		path, token string
		status      int
	}{
		"logged in":       {"/v1/sync", token, http.StatusBadRequest},
		"without a login": {"/v1/sync", "", http.StatusUnauthorized},
		"no such path":    {"/v1/nothing", "", http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n{",
				c.path, c.token); err != nil {
				t.Fatal(err)
			}
			reader := bufio.NewReader(conn)
			response, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			if response.StatusCode != c.status {
				t.Errorf("answered with %d, want %d", response.StatusCode, c.status)
			}
			if _, err := reader.ReadByte(); errors.Is(err, os.ErrDeadlineExceeded) || err == nil {
				t.Errorf("the connection is not closed: %v", err)
			}
		})
	}
}

// What is done for longer than a body may take is not cut off with it, nor is the next request.
func TestAConnectionGoesOnAfterTheDeadlineOfABody(t *testing.T) {
	s := newServer(t, func(c *httpapi.Config) { c.BodyTimeout = time.Millisecond })
	token := s.login(t, "alice")
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	for range 3 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v1/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("answered with %d", response.StatusCode)
		}
		<-time.After(3 * time.Millisecond)
	}
}
