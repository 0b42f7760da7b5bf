package history_test

import (
	"strings"
	"testing"

	"mpim/projections"
	"mpim/projections/projectionstest"
)

// A page reads as many rows as it returns, wherever in a long conversation it lies.
func TestAPageIsOneScanOfTheKey(t *testing.T) {
	t.Parallel()
	db := projectionstest.Databases["mariadb"](t)
	log := projectionstest.NewLog(0)
	for range 5000 {
		log.Append(t, group.Aggregate(), alice, sent("a message"))
		log.Append(t, pair.Aggregate(), alice, sent("another"))
	}
	p := take(t, db, 0, 1)
	if err := p.Apply(t.Context(), projections.Step{Batch: *log.Batch(1, 1, int64(len(log.Records)))}); err != nil {
		t.Fatal(err)
	}
	if err := db.Define(t.Context(), "ANALYZE TABLE history_1_messages"); err != nil {
		t.Fatal(err)
	}
	for _, where := range []string{
		"r.seq >= 1", "r.seq BETWEEN 1 AND 2500", "r.seq BETWEEN 1 AND 40 OR r.seq >= 900", "r.seq BETWEEN 1 AND 40 OR r.seq BETWEEN 300 AND 2500",
	} {
		for _, order := range []string{"r.seq", "r.seq DESC"} {
			plan := projectionstest.Rows(t.Context(), t, db, "EXPLAIN SELECT * FROM history_1_messages AS r WHERE r.conversation = ? AND ("+
				where+") ORDER BY "+order+" LIMIT 50", string(group))
			if len(plan) != 1 || !strings.Contains(plan[0], `key="PRIMARY"`) || strings.Contains(plan[0], "filesort") ||
				strings.Contains(plan[0], `type="ALL"`) || strings.Contains(plan[0], `type="index"`) {
				t.Errorf("%s in the order of %s: %q", where, order, plan)
			}
		}
	}
}
