package words

import (
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Fold returns text in the form in which it is compared: without the difference of upper and lower case, and with
// characters that look the same written the same way (Unicode's NFKC and full case folding). Folding what is folded
// changes nothing.
func Fold(text string) string {
	if plain(text) {
		return text
	}
	// Folding can undo the normal form, and the normal form can bring forth letters to fold.
	folded := norm.NFKC.String(cases.Fold().String(norm.NFKC.String(text)))
	for range maxRounds {
		again := norm.NFKC.String(cases.Fold().String(folded))
		if again == folded {
			break
		}
		folded = again
	}
	return folded
}

// maxRounds ends the search for a form that folding leaves alone; no text is known that takes more than one.
const maxRounds = 3

// plain says that text is its own folded form: ASCII without capitals.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c >= 0x80 || c >= 'A' && c <= 'Z' {
			return false
		}
	}
	return true
}
