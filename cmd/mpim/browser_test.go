package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"mpim/handlers/client"
)

// browse starts Chromium, which must be there, and returns the context of one empty page.
func browse(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v: install Chromium", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
	)
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	page, end := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		end()
		stop()
	})
	if err := chromedp.Do(page); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return page
}

// follower is a page of another origin that logs in with the TypeScript client and writes down what it is told.
const follower = `<!doctype html><meta charset="utf-8"><script type="module">
import { Session } from "%[1]s/mpim.js";
window.heard = []; window.sent = []; window.lost = 0;
const session = await Session.login({
  urls: ["%[1]s", "%[2]s"],
  onEvent: (event) => { heard.push([event.seq, event.type === "message.sent" ? event.data.body.text : ""]); },
  onConnected: (up) => { if (!up) lost++; window.up = up; },
}, "%[3]s", "%[3]s-password");
window.say = (conversation, text) => { session.send({ to: { conversation }, body: { type: "text", text } }).then((s) => sent.push(s.seq)); };
window.ended = session.run().catch((error) => { window.failure = String(error); });
</script>`

// TestTypeScriptClientSurvivesGateways follows and writes with the TypeScript client in a browser while the gateways
// under it are killed and drained in turn.
func TestTypeScriptClientSurvivesGateways(t *testing.T) {
	d := deploy(t, layout{gateways: 2, workers: 1, env: []string{"MPIM_ALLOWED_ORIGINS=127.0.0.1:*"}})
	ctx := t.Context()
	urls := []string{d.gateways[0].url, d.gateways[1].url}
	ann, err := register(ctx, urls[0], "ann")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := register(ctx, urls[0], "ben"); err != nil {
		t.Fatal(err)
	}
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, follower, urls[0], urls[1], "ann")
	}))
	defer pages.Close()
	page := browse(t)
	if err := chromedp.Do(page, chromedp.Navigate(pages.URL), chromedp.Poll[chromedp.Void]("window.up === true")); err != nil {
		t.Fatal(err)
	}

	var atBen heard
	ben, err := client.Login(ctx, client.Config{URLs: urls, Handler: client.Handler{Event: atBen.event}}, "ben", "ben-password")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = ben.Run(ctx) }()

	const messages = 120
	faults := map[int]func() error{
		20: d.gateways[0].Kill, 40: d.gateways[0].Restart, 60: d.gateways[1].Stop, 80: d.gateways[1].Restart, 100: d.gateways[0].Kill,
	}
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	for n := 0; n < messages; n += 2 {
		<-pace.C
		sent, err := ben.Send(ctx, client.Message{To: client.ToUser(ann.User.ID), Body: client.Text(strconv.Itoa(n))})
		if err != nil {
			t.Fatal(err)
		}
		// The page does not wait: its client does.
		if err := chromedp.Do(page, chromedp.Evaluate[chromedp.Void](fmt.Sprintf("say(%q, %q)", sent.Conversation, strconv.Itoa(n+1)))); err != nil {
			t.Fatal(err)
		}
		if fault := faults[n]; fault != nil {
			if err := fault(); err != nil {
				t.Fatal(err)
			}
		}
	}
	var state struct {
		Heard [][2]any
		Sent  []int64
		Lost  int
	}
	waitFor(t, 30*time.Second, "both to hear everything", func() error {
		text, err := chromedp.Run(page, chromedp.Evaluate[string](`JSON.stringify({heard, sent, lost})`))
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(text), &state); err != nil {
			return err
		}
		atBen.mu.Lock()
		defer atBen.mu.Unlock()
		if len(state.Heard) < messages+1 || len(state.Sent) < messages/2 || len(atBen.texts) < messages {
			return fmt.Errorf("the page heard %d and sent %d, the other side heard %d", len(state.Heard), len(state.Sent), len(atBen.texts))
		}
		return nil
	})
	atBen.lost = state.Lost
	atBen.check(t, "ben", messages)
	var atAnn heard
	for _, h := range state.Heard {
		seq, _ := h[0].(float64)
		atAnn.seqs = append(atAnn.seqs, int64(seq))
		if text, _ := h[1].(string); text != "" {
			atAnn.texts = append(atAnn.texts, text)
		}
	}
	atAnn.lost = state.Lost
	atAnn.check(t, "the page", messages)
}

// TestPage talks on the page that every gateway serves.
func TestPage(t *testing.T) {
	d := deploy(t, layout{gateways: 1, workers: 1})
	ctx := t.Context()
	url := d.gateways[0].url
	for _, name := range []string{"ann", "ben"} {
		if _, err := register(ctx, url, name); err != nil {
			t.Fatal(err)
		}
	}
	ben, err := client.Login(ctx, client.Config{URLs: []string{url}}, "ben", "ben-password")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = ben.Run(ctx) }()
	ann, err := ben.User(ctx, "@ann")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ben.Send(ctx, client.Message{To: client.ToUser(ann.ID), Body: client.Text("hello <b>ann</b>")}); err != nil {
		t.Fatal(err)
	}

	page, cancel := context.WithTimeout(browse(t), time.Minute)
	defer cancel()
	err = chromedp.Do(page,
		chromedp.Navigate(url),
		chromedp.WaitVisible("#login-form"),
		chromedp.SendKeys("input[name=username]", "ann"),
		chromedp.SendKeys("input[name=password]", "ann-password"),
		chromedp.Click("button[value=login]"),
		chromedp.WaitVisible("#conversations li"),
		chromedp.Click("#conversations li"),
		chromedp.Poll[chromedp.Void](`document.querySelector("#messages").innerText.includes("hello <b>ann</b>")`),
		chromedp.SendKeys("#send-form input", "hello ben\n"),
		chromedp.Poll[chromedp.Void](`document.querySelector("#messages .mine:not(.pending)")?.innerText.includes("hello ben")`),
	)
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Conversations []struct {
			Last struct{ Body client.Body } `json:"last_message"`
		}
	}
	if err := ben.Call(ctx, "conversation.list", nil, &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Conversations) != 1 || list.Conversations[0].Last.Body.Text != "hello ben" {
		t.Errorf("the other side has %+v", list)
	}
	// The page goes on after it is loaded anew.
	err = chromedp.Do(page,
		chromedp.Reload(),
		chromedp.WaitVisible("#conversations li"),
		chromedp.Click("#conversations li"),
		chromedp.Poll[chromedp.Void](`document.querySelector("#messages").innerText.includes("hello ben")`),
	)
	if err != nil {
		t.Fatal(err)
	}
}
