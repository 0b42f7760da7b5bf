package bus_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mpim/schema"
)

func TestGatewaysAreBelievedForAWhile(t *testing.T) {
	for name, address := range stores(t) {
		t.Run(name, func(t *testing.T) {
			client, b := open(t, address)
			one := schema.GatewayLoad{ID: "g1", URL: "http://one.test", Load: 0.5}
			two := schema.GatewayLoad{ID: "g2", URL: "http://two.test"}
			want := func(all ...schema.GatewayLoad) {
				t.Helper()
				got, err := b.Gateways(t.Context())
				slices.SortFunc(got, func(a, b schema.GatewayLoad) int { return strings.Compare(a.ID, b.ID) })
				if err != nil || !slices.Equal(got, all) {
					t.Fatalf("got %v, %v, want %v", got, err, all)
				}
			}
			announce := func(g schema.GatewayLoad) {
				t.Helper()
				if err := b.Announce(t.Context(), g); err != nil {
					t.Fatal(err)
				}
			}
			want()
			announce(two)
			announce(one)
			one.Load = 0.75
			announce(one)
			want(one, two)
			if err := b.Retire(t.Context(), "g2"); err != nil {
				t.Fatal(err)
			}
			want(one)
			// One that was silent for long is not believed, and forgotten when another one is heard.
			stale := strconv.FormatInt(time.Now().Add(-time.Minute).UnixMilli(), 10)
			if err := client.HSet(t.Context(), "gateways", "g3", stale+` {"id":"g3","url":"http://three.test"}`).Err(); err != nil {
				t.Fatal(err)
			}
			want(one)
			announce(one)
			if n := client.HLen(t.Context(), "gateways").Val(); n != 1 {
				t.Errorf("%d gateways are kept", n)
			}
		})
	}
}
