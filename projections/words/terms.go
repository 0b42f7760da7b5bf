package words

import (
	"iter"
	"slices"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxTerm is how many bytes a term has at most. What two long words have in common up to there is the same term.
	MaxTerm = 64
	// MaxTerms is how many different terms of one text are kept: the first ones.
	MaxTerms = 1000
)

// unspaced are the scripts that are written without spaces between words. What Unicode counts as common to the two of
// Japanese is the mark of a long vowel.
var unspaced = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo,
	unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar,
	{R16: []unicode.Range16{{Lo: 'ー', Hi: 'ー', Stride: 1}}},
}

// token is a word, or one character of a script without spaces. Joined says that it follows the one before without
// anything between, both of such scripts.
type token struct {
	text           string
	single, joined bool
}

// tokens cuts folded text. Symbols such as emoji are words of their own; the rest that is neither letter, mark nor
// number divides.
func tokens(folded string) iter.Seq[token] {
	return func(yield func(token) bool) {
		joined := false
		for len(folded) > 0 {
			r, size := utf8.DecodeRuneInString(folded)
			switch {
			case unicode.In(r, unspaced...):
				if !yield(token{text: folded[:size], single: true, joined: joined}) {
					return
				}
				joined = true
			case letter(r):
				size = wordEnd(folded)
				if !yield(token{text: cut(folded[:size])}) {
					return
				}
				joined = false
			case unicode.Is(unicode.So, r):
				if !yield(token{text: folded[:size]}) {
					return
				}
				joined = false
			default:
				joined = joined && unicode.Is(unicode.Variation_Selector, r)
			}
			folded = folded[size:]
		}
	}
}

func letter(r rune) bool { return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r) }

// wordEnd returns where the word ends with which the text begins.
func wordEnd(text string) int {
	for i, r := range text {
		if !letter(r) || unicode.In(r, unspaced...) {
			return i
		}
	}
	return len(text)
}

// cut shortens a word to MaxTerm bytes.
func cut(word string) string {
	if len(word) <= MaxTerm {
		return word
	}
	end := MaxTerm
	for !utf8.RuneStart(word[end]) {
		end--
	}
	return word[:end]
}

// Terms returns the terms that a folded text is found by, each once and in order: its words, and of scripts without
// spaces each character and each two that stand together.
func Terms(folded string) []string {
	known := make(map[string]bool)
	last := ""
	for t := range tokens(folded) {
		if len(known) >= MaxTerms {
			break
		}
		known[t.text] = true
		if t.joined {
			known[last+t.text] = true
		}
		last = t.text
	}
	terms := make([]string, 0, len(known))
	for term := range known {
		terms = append(terms, term)
	}
	slices.Sort(terms)
	return terms
}
