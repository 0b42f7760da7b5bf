package main

import "net/url"

// redacted hides the password of a URL, and all of anything else.
func redacted(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" {
		if len(text) > 7 && text[:7] == "sqlite:" {
			return text
		}
		return "(hidden)"
	}
	return u.Redacted()
}
