package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Everything that is not the page is answered by the API, as it came: no redirect, and no answer of a router in between.
func TestRoute(t *testing.T) {
	t.Parallel()
	name := func(s string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Handler", s) })
	}
	handler := route(name("sockets"), name("rest"), name("page"))
	for request, want := range map[string]string{
		"GET /": "page", "HEAD /chat.js": "page", "POST /": "rest", "GET /v1": "rest", "GET /v1/me": "rest",
		"GET /v1/a/../me": "rest", "POST //v1/messages": "rest", "GET /v1/ws": "sockets", "POST /v1/ws": "sockets",
	} {
		method, path, _ := strings.Cut(request, " ")
		r := httptest.NewRequestWithContext(t.Context(), method, "http://mpim.test/", nil)
		r.URL.Path = path
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if got := w.Header().Get("Handler"); got != want {
			t.Errorf("%s goes to %q, want %q", request, got, want)
		}
	}
}
