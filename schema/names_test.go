package schema_test

import (
	"reflect"
	"testing"

	"mpim/domain"
	"mpim/projections/archive/segment/segmenttest"
	"mpim/schema"
	"mpim/schema/seal"
)

// Who is named is the same whether what people wrote is sealed or not.
func TestNamesTakesNoNoticeOfWhatPeopleWrote(t *testing.T) {
	placement := domain.Placement{Partitions: 4}
	ann, ben := placement.User("ann"), placement.User("ben")
	group := placement.Group(ann, "1").Aggregate()
	custom := domain.Body{Type: domain.CustomBody, Data: []byte(`{"who":"` + ben + `"}`)}
	for name, c := range map[string]struct {
		fact domain.Fact
		want bool
	}{
		"who was added":   {&domain.MemberAdded{User: ben}, true},
		"who is meant":    {&domain.MessageSent{ClientID: "1", Body: custom, Mentions: []string{string(ben)}}, true},
		"in what is sent": {&domain.MessageSent{ClientID: "1", Body: custom}, false},
		"somebody else":   {&domain.MemberAdded{User: ann}, false},
	} {
		for _, ring := range []*seal.Ring{nil, segmenttest.NewRing(t)} {
			log := segmenttest.NewLog(0, 1)
			log.Ring = ring
			if got := log.Append(t, group, ann, c.fact).Names(ben); got != c.want {
				t.Errorf("%s, sealed %v: %v", name, ring != nil, got)
			}
		}
	}
}

func TestClonesShareNothing(t *testing.T) {
	log := segmenttest.NewLog(0, 1)
	log.Messages(t, 1, []string{"a text"})
	record := log.Records[0]
	clone := record.Clone()
	if !reflect.DeepEqual(clone, record) {
		t.Errorf("cloned %+v to %+v", record, clone)
	}
	for _, bytes := range [][]byte{record.Data, record.Metadata, record.Payload} {
		clear(bytes)
	}
	if line, err := schema.NewLine(clone); err != nil || len(line.Data) == 0 || line.Data[0] != '{' {
		t.Errorf("the clone reads %s, %v", line.Data, err)
	}
}
