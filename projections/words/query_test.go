package words_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"mpim/projections/words"
)

func TestTerms(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                      "",
		"!?.":                   "",
		"Hello, hello WORLD":    "hello|world",
		"don't panic":           "don|panic|t",
		"你好吗":                   "你|你好|吗|好|好吗",
		"你好, 吗":                 "你|你好|吗|好",
		"iPhone手机12":            "12|iphone|手|手机|机",
		"ラーメン":                  "メ|メン|ラ|ラー|ン|ー|ーメ",
		"안녕 하세요":                "녕|세|세요|안|안녕|요|하|하세",
		"สวัสดี":                "ด|ดี|ว|วั|ส|สด|สว|ั|ัส|ี",
		"nice 👍🏽!":              "nice|👍",
		"a_b c.d https://x.org": "a|b|c|d|https|org|x",
		"1½ Ⅷ":                  "11|2|viii",
	} {
		if got := strings.Join(words.Terms(words.Fold(text)), "|"); got != want {
			t.Errorf("%q has the terms %s, want %s", text, got, want)
		}
	}
	long := strings.Repeat("ä", 100)
	if got := words.Terms(long); len(got) != 1 || len(got[0]) > words.MaxTerm || !utf8.ValidString(got[0]) {
		t.Errorf("a long word has the terms %q", got)
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		query, text string
		want        bool
	}{
		{"hello", "Well, HELLO there", true},
		{"hell", "hello", false},
		{"there hello", "hello there", true},
		{"hello there you", "hello there", false},
		{"", "hello", false},
		{"?!", "what?!", false},
		{"好", "你好", true},
		{"你好吗", "今天你好吗?", true},
		{"你好吗", "你好。好吗", false},
		{"你吗", "你好吗", false},
		{"手机 iphone", "iPhone手机", true},
		{"iphone手机", "iPhone手机", true},
		{"iphone手机", "手机iPhone", false},
		{"東京", "ﾄｳｷｮｳ 東京タワー", true},
		{"トウキョウ", "ﾄｳｷｮｳ", true},
		{"안녕", "안녕하세요", true},
		{"don't", "I don't", true},
		{"don't", "don my t-shirt", false},
		{"foo-bar", "foo bar", true},
		{"3.14", "pi is 3.14159", false},
		{"👍", "nice 👍🏽", true},
		{"strasse", "Straße", true},
	} {
		q := words.NewQuery(c.query)
		folded := words.Fold(c.text)
		if got := q.Matches(folded); got != c.want {
			t.Errorf("%q finds %q: %t, terms %q", c.query, c.text, got, q.Terms)
		}
		checkTerms(t, q, folded)
	}
	for query, want := range map[string]bool{"a": true, "a b": true, "你好": true, "你": true, "你好吗": false, "a-b": false, "a你": false} {
		if q := words.NewQuery(query); q.Exact != want {
			t.Errorf("%q is exact: %t", query, q.Exact)
		}
	}
}

// checkTerms makes sure that the terms find whatever matches.
func checkTerms(t interface {
	Errorf(format string, args ...any)
	Helper()
}, q words.Query, folded string,
) {
	t.Helper()
	if !q.Matches(folded) {
		return
	}
	all := words.Terms(folded)
	if len(q.Terms) == 0 {
		t.Errorf("a query without terms matches %q", folded)
	}
	for _, term := range q.Terms {
		if !slices.Contains(all, term) {
			t.Errorf("%q matches, but has no term %q", folded, term)
		}
	}
}

// Every part of a text finds it, through its terms and on looking closer.
func TestAPartOfATextFindsIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		pieces := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "B", "é", "你", "好", "ガ", "ｶﾞ", "안", "สี", " ", "-", "👍", "ß", "1", "ー"}), 1, 12).Draw(r, "pieces")
		from := rapid.IntRange(0, len(pieces)-1).Draw(r, "from")
		to := rapid.IntRange(from+1, len(pieces)).Draw(r, "to")
		query := words.NewQuery(strings.Join(pieces[from:to], ""))
		folded := words.Fold(strings.Join(pieces, ""))
		checkTerms(r, query, folded)
		whole := words.NewQuery(strings.Join(pieces, ""))
		if query.Exact && len(query.Terms) > 0 && !query.Matches(folded) && !slices.ContainsFunc(query.Terms, func(term string) bool { return !slices.Contains(words.Terms(folded), term) }) {
			r.Fatalf("%q has all terms of an exact query and does not match", folded)
		}
		if len(whole.Terms) > 0 && !whole.Matches(folded) {
			r.Fatalf("%q does not find itself", folded)
		}
	})
}
