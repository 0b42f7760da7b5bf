package words_test

import (
	"testing"
	"unicode/utf8"

	"mpim/projections/words"
)

func TestFold(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":            "",
		"plain 123":   "plain 123",
		"Straße":      "strasse",
		"ΣΊΣΥΦΟΣ":     "σίσυφοσ",
		"Ｆｕｌｌｗｉｄｔｈ１２": "fullwidth12",
		"ｶﾞﾝﾀﾞﾑ":      "ガンダム",
		"e\u0301":     "é",
		"ﬁne":         "fine",
		"한국":          "한국",
	} {
		if got := words.Fold(text); got != want {
			t.Errorf("%q folds to %q, want %q", text, got, want)
		}
	}
}

func FuzzFold(f *testing.F) {
	for _, seed := range []string{"Straße", "ﷺ", "ｶﾞ", "İI", "\u0345", "a\u0300\u0345", "\xff", "ΐ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once := words.Fold(text)
		if utf8.ValidString(text) && words.Fold(once) != once {
			t.Errorf("%q folds to %q and then to %q", text, once, words.Fold(once))
		}
	})
}
