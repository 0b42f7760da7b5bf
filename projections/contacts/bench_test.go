package contacts_test

import (
	"fmt"
	"testing"

	"mpim/domain"
	"mpim/projections/projectionstest"
	"mpim/projections/rows/rowstest"
)

// BenchmarkApply registers users, each of whom asks the one before.
func BenchmarkApply(b *testing.B) {
	n := 0
	id := func(n int) domain.UserID { return domain.UserID(fmt.Sprintf("u%020d00", n)) }
	rowstest.Bench(b, open, func(log *projectionstest.Log) {
		for range 250 {
			n++
			user := id(n)
			log.Append(b, user.Aggregate(), user, &domain.AccountRegistered{
				Username: fmt.Sprint("user", n), DisplayName: fmt.Sprint("Name of ", n),
			})
			log.Append(b, pairOf(user, id(n-1)), user, &domain.ContactRequested{User: id(n - 1), Message: "hello, it's me"})
		}
	})
}
