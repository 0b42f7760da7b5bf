package httpapi

import "testing"

func TestOriginAllowed(t *testing.T) {
	t.Parallel()
	patterns := []string{"chat.example.org", "https://*.example.com", "localhost:*"}
	for origin, want := range map[string]bool{
		"https://chat.example.org": true, "http://chat.example.org": true, "https://CHAT.example.org": true,
		"https://a.example.com": true, "http://a.example.com": false, "https://a.example.com.evil.net": false,
		"http://localhost:3000": true, "http://localhost": false, "null": false, "": false, "https://": false,
	} {
		if got := originAllowed(patterns, origin); got != want {
			t.Errorf("%q: %t", origin, got)
		}
	}
	if !originAllowed([]string{"*"}, "http://anything:1") {
		t.Error("* does not allow everything")
	}
}
