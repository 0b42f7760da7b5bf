package domain

import (
	"strings"
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
