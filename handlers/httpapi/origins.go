package httpapi

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/rs/cors"
)

// allowOrigins lets pages of the given origins call the API from a browser (https://fetch.spec.whatwg.org/#http-cors-protocol).
// Patterns are those of sockets: as of path.Match, for the host alone or, where there is a scheme, for scheme and host.
// Tokens are sent as a header, never as a cookie, so no credentials are allowed.
func allowOrigins(patterns []string, next http.Handler) http.Handler {
	if len(patterns) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowOriginFunc: func(origin string) bool { return originAllowed(patterns, origin) },
		AllowedMethods: []string{
			http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		},
		AllowedHeaders: []string{"Authorization", "Content-Type"},
		MaxAge:         600,
	}).Handler(next)
}

func originAllowed(patterns []string, origin string) bool {
	parsed, err := url.Parse(origin)
	if err != nil || parsed.Host == "" {
		return false
	}
	for _, pattern := range patterns {
		subject := parsed.Host
		if strings.Contains(pattern, "://") {
			subject = parsed.Scheme + "://" + parsed.Host
		}
		if matched, err := path.Match(strings.ToLower(pattern), strings.ToLower(subject)); err == nil && matched {
			return true
		}
	}
	return false
}
