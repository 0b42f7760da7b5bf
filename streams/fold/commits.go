package fold

import (
	"iter"

	"mpim/schema"
)

// Commits yields the records of a partition by the commits that they were appended in, as their ids tell.
func Commits(records iter.Seq2[*schema.Record, error]) iter.Seq2[[]*schema.Record, error] {
	return func(yield func([]*schema.Record, error) bool) {
		var commit []*schema.Record
		for record, err := range records {
			if err != nil {
				yield(nil, err)
				return
			}
			if n := len(commit); n > 0 && (record.Aggregate != commit[0].Aggregate || commit[0].ID.Behind(n) != record.ID) {
				if !yield(commit, nil) {
					return
				}
				commit = nil
			}
			commit = append(commit, record)
		}
		if len(commit) > 0 {
			yield(commit, nil)
		}
	}
}
