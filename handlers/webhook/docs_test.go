package webhook_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"mpim/handlers/webhook"
)

// What docs/webhooks.md tells receivers to do takes what is sent, and nothing else.
func TestDocumentedVerification(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sample, _ := strings.Cut(string(page), "```python\n")
	sample, _, found := strings.Cut(sample, "```")
	if !found {
		t.Fatal("the page has no sample")
	}
	secret, now, body := []byte("a secret of the tests, long enough"), time.Now(), []byte(`{"type":"events"}`)
	headers := func(at time.Time, signature string) map[string]string {
		return map[string]string{"webhook-id": "wh1.0.3:17-18", "webhook-timestamp": strconv.FormatInt(at.Unix(), 10), "webhook-signature": signature}
	}
	late := now.Add(-time.Hour)
	cases := []struct {
		Headers map[string]string
		Body    string
		Want    bool
	}{
		{headers(now, webhook.Sign(secret, "wh1.0.3:17-18", now, body)), string(body), true},
		{headers(now, "v1,AAAA "+webhook.Sign(secret, "wh1.0.3:17-18", now, body)), string(body), true},
		{headers(now, webhook.Sign(secret, "wh1.0.3:17-18", now, body)), string(body) + " ", false},
		{headers(now, webhook.Sign(secret[1:], "wh1.0.3:17-18", now, body)), string(body), false},
		{headers(late, webhook.Sign(secret, "wh1.0.3:17-18", late, body)), string(body), false},
	}
	given, err := json.Marshal(map[string]any{"secret": webhook.FormatSecret(secret), "cases": cases})
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "python3", "-c", "import json, sys\n"+sample+`
given = json.load(sys.stdin)
print(json.dumps([verify(given["secret"], c["Headers"], c["Body"].encode()) for c in given["cases"]]))`)
	command.Stdin = strings.NewReader(string(given))
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	var got []bool
	if err := json.Unmarshal(output, &got); err != nil || len(got) != len(cases) {
		t.Fatalf("%s: %v", output, err)
	}
	for i, c := range cases {
		if got[i] != c.Want {
			t.Errorf("case %d: %t", i, got[i])
		}
	}
}
