package words

import (
	"slices"
	"strings"
)

// maxQueryTerms bounds what one query looks up.
const maxQueryTerms = 16

// Query is what somebody searches for: a text matches that has every part of it, in any order. A part is what stands between
// spaces; its words stand together in the text as they do in the query.
type Query struct {
	// Terms are what every text has that matches, the longest first, which are the rarest as a rule. There is none where the
	// query has no word.
	Terms []string
	// Exact says that every text matches that has all terms; otherwise ask Matches.
	Exact bool

	parts [][]token
}

// NewQuery returns the query for what somebody wrote.
func NewQuery(written string) Query {
	q := Query{Exact: true}
	for part := range strings.FieldsSeq(Fold(written)) {
		all := slices.Collect(tokens(part))
		if len(all) == 0 {
			continue
		}
		q.parts = append(q.parts, all)
		q.Exact = q.Exact && (len(all) == 1 || len(all) == 2 && all[1].joined)
		for i, t := range all {
			switch {
			case t.joined:
				q.Terms = append(q.Terms, all[i-1].text+t.text)
			case !t.single || i+1 == len(all) || !all[i+1].joined:
				q.Terms = append(q.Terms, t.text)
			}
		}
	}
	slices.Sort(q.Terms)
	q.Terms = slices.Compact(q.Terms)
	slices.SortStableFunc(q.Terms, func(a, b string) int { return len(b) - len(a) })
	if len(q.Terms) > maxQueryTerms {
		q.Terms, q.Exact = q.Terms[:maxQueryTerms], false
	}
	return q
}

// Matches says whether a folded text has every part of the query. A query without words matches nothing.
func (q Query) Matches(folded string) bool {
	text := slices.Collect(tokens(folded))
	for _, part := range q.parts {
		if !contains(text, part) {
			return false
		}
	}
	return len(q.parts) > 0
}

// contains says whether the part stands in the text without a gap.
func contains(text, part []token) bool {
	for len(text) >= len(part) {
		if begins(text, part) {
			return true
		}
		text = text[1:]
	}
	return false
}

func begins(text, part []token) bool {
	for i, t := range part {
		if text[i].text != t.text || t.joined && !text[i].joined {
			return false
		}
	}
	return true
}
