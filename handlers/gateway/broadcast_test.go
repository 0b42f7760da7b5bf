package gateway_test

import (
	"testing"
	"testing/synctest"

	"mpim/schema"
)

func TestBroadcastsReachEveryConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newWorld(), "g1")
		alice, bob := s.hello(t, "alice"), s.hello(t, "bob")
		s.publish(schema.BroadcastChannel, []byte("?"))
		e := schema.Envelope{Items: []schema.Item{{Class: schema.ClassEvent, Frame: []byte(`{"all":1}`)}}}
		s.publish(schema.BroadcastChannel, e.Append(nil))
		alice.want(`{"all":1}`)
		bob.want(`{"all":1}`)
		// What cannot be read, or is lost, is no reason to synchronise.
		s.heartbeat("g1")
		alice.silent()
	})
}
