package search_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"mpim/domain"
	"mpim/projections/projectionstest"
	"mpim/projections/rows/rowstest"
	"mpim/projections/search"
)

// BenchmarkApply writes messages of about 30 words out of a vocabulary whose words are as rare as those of a language, one
// in four of them Chinese, 200 a batch in 50 conversations.
func BenchmarkApply(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(r, 1.1, 10, 50_000)
	rowstest.Bench(b, open, func(log *projectionstest.Log) {
		for i := range 200 {
			c := domain.ConversationID(fmt.Sprintf("g%020d00", i%50))
			log.Append(b, c.Aggregate(), alice, sent(text(r, zipf)))
		}
	})
}

// text writes a message.
func text(r *rand.Rand, zipf *rand.Zipf) string {
	var s strings.Builder
	chinese := r.IntN(4) == 0
	for range 30 {
		if chinese {
			s.WriteRune('一' + rune(zipf.Uint64()%3000))
		} else {
			fmt.Fprintf(&s, "w%x ", zipf.Uint64())
		}
	}
	return s.String()
}

// BenchmarkSearch searches 200 conversations with 40,000 messages for words that are common and rare.
func BenchmarkSearch(b *testing.B) {
	const conversations = 200
	db := projectionstest.Databases["mariadb"](b)
	log := projectionstest.NewLog(0)
	r := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(r, 1.1, 10, 50_000)
	var scopes []search.Scope
	for i := range conversations {
		c := domain.ConversationID(fmt.Sprintf("g%020d00", i))
		scopes = append(scopes, search.Scope{Conversation: c, Windows: domain.Windows{{From: 1}}})
	}
	p := open(db)
	for range 40 {
		for i := range 1000 {
			log.Append(b, scopes[i%conversations].Conversation.Aggregate(), alice, sent(text(r, zipf)))
		}
		rowstest.Apply(b, p, log)
	}
	q := search.NewQueries(db)
	for _, query := range []string{"w0", "w1f", "w0 w1 w2", "w0 w7d0", "wc350 w0", "一丁丂"} {
		b.Run(query, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := q.Search(b.Context(), scopes, query, "", 20); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
