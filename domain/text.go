package domain

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckText refuses what no string of the client protocol may be: invalid UTF-8, or with U+0000 in it
// (InvalidArgument), and what has more than limit characters (TooLarge; no limit where it is 0). Name is what the
// client calls the string.
func CheckText(name, s string, limit int) error {
	if !utf8.ValidString(s) {
		return Errorf(InvalidArgument, "%s is not valid UTF-8", name)
	}
	if strings.ContainsRune(s, 0) {
		return Errorf(InvalidArgument, "%s holds U+0000, which no text may", name)
	}
	if limit > 0 && len(s) > limit && utf8.RuneCountInString(s) > limit {
		return Errorf(TooLarge, "%s has more than %d characters", name, limit)
	}
	return nil
}

// CheckName is CheckText for what others see in the middle of a line: it refuses, with InvalidArgument, line breaks and
// other control characters too, and those that turn the direction of what stands after them. So nobody's name makes a
// line look like something else.
func CheckName(name, s string, limit int) error {
	if err := CheckText(name, s, limit); err != nil {
		return err
	}
	if i := strings.IndexFunc(s, disturbs); i >= 0 {
		r, _ := utf8.DecodeRuneInString(s[i:])
		return Errorf(InvalidArgument, "%s holds the control character %U", name, r)
	}
	return nil
}

// disturbs says whether a character does more than stand for itself: controls, line and paragraph separators, and the
// embeddings, overrides and isolates of UAX #9. Its marks, which right-to-left names need, only turn themselves.
func disturbs(r rune) bool {
	switch {
	case unicode.Is(unicode.Cc, r), r == '\u2028', r == '\u2029':
		return true
	case r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
		return true
	default:
		return false
	}
}

// CheckURL is CheckText for an address that clients follow: empty, or of http or https, with a host. All others, as
// javascript: and data:, are refused with InvalidArgument.
func CheckURL(name, s string, limit int) error {
	if err := CheckName(name, s, limit); err != nil || s == "" {
		return err
	}
	scheme, rest, _ := strings.Cut(s, "://")
	web := strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host := rest[strings.LastIndexByte(rest[:end], '@')+1 : end]
	// Browsers take a backslash for a slash, so what stands before one is not the host that it seems to be.
	if !web || host == "" || host[0] == ':' || strings.ContainsAny(s, "\\ ") {
		return Errorf(InvalidArgument, "%s is no http or https address", name)
	}
	return nil
}
