package webhook_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mpim/handlers/webhook"
)

// The example of the Standard Webhooks libraries.
func TestSignatureIsStandard(t *testing.T) {
	t.Parallel()
	secret, err := webhook.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := webhook.Sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	secret, now := []byte("a secret of the tests, long enough"), time.Unix(1767312245, 0)
	header := http.Header{}
	header.Set(webhook.IDHeader, "id")
	header.Set(webhook.TimestampHeader, "1767312245")
	header.Set(webhook.SignatureHeader, "v1,AAAA "+webhook.Sign(secret, "id", now, []byte("body")))
	if err := webhook.Verify(secret, header, []byte("body"), now.Add(4*time.Minute)); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"another body": webhook.Verify(secret, header, []byte("Body"), now), "another secret": webhook.Verify(secret[1:], header, []byte("body"), now),
		"late": webhook.Verify(secret, header, []byte("body"), now.Add(6*time.Minute)), "early": webhook.Verify(secret, header, []byte("body"), now.Add(-6*time.Minute)),
		"unsigned": webhook.Verify(secret, http.Header{}, []byte("body"), now),
	} {
		if err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	for _, wrong := range []string{"", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + strings.Repeat("A", 100)} {
		if _, err := webhook.ParseSecret(wrong); err == nil {
			t.Errorf("secret %q was taken", wrong)
		}
	}
	if again, err := webhook.ParseSecret(webhook.FormatSecret(secret)); err != nil || string(again) != string(secret) {
		t.Errorf("%q, %v", again, err)
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{
		"https://example.org/hook?token=1": true, "http://example.org": true, "https://93.184.215.14/": true, "https://[2606:4700::1111]/": true,
		"": false, "example.org": false, "ftp://example.org": false, "https://": false, "https://user:pass@example.org": false, "https://example.org/#a": false,
		"http://127.0.0.1/": false, "http://10.1.2.3": false, "http://192.168.0.1:8080": false, "http://172.16.0.1": false, "http://169.254.169.254/latest": false,
		"http://100.64.0.1": false, "http://0.0.0.0": false, "http://[::1]": false, "http://[::]": false, "http://[fd00::1]": false, "http://[fe80::1]": false,
		"http://[::ffff:127.0.0.1]": false, "http://[64:ff9b::7f00:1]": false, "http://[2002:7f00:1::]": false, "http://224.0.0.1": false, "http://255.255.255.255": false,
		"https://example.org/" + strings.Repeat("a", 3000): false,
	} {
		if err := webhook.CheckURL(url, false); (err == nil) != want {
			t.Errorf("%s: %v", url, err)
		}
	}
	if err := webhook.CheckURL("http://127.0.0.1:9/", true); err != nil {
		t.Error(err)
	}
}

func TestSend(t *testing.T) {
	t.Parallel()
	secret := []byte("a secret of the tests, long enough")
	hang, followed := make(chan struct{}), make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = webhook.Verify(secret, r.Header, body, time.Now())
		}
		switch {
		case err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || r.Header.Get(webhook.IDHeader) != "id":
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		case r.URL.Path == "/busy":
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		case r.URL.Path == "/elsewhere":
			followed <- struct{}{}
		case r.URL.Path == "/hang":
			<-hang
		case r.URL.Path == "/long":
			_, _ = w.Write(make([]byte, 1<<20))
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(hang) })
	sender := webhook.NewSender(webhook.SenderConfig{AllowPrivate: true, Timeout: 2 * time.Second})
	t.Cleanup(sender.Close)
	send := func(path string) error {
		return sender.Send(t.Context(), webhook.Request{URL: server.URL + path, Secret: secret, ID: "id", Body: []byte(`{}`)})
	}
	for _, path := range []string{"/", "/long"} {
		if err := send(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if refusal, ok := errors.AsType[*webhook.RefusedError](send("/busy")); !ok || refusal.Status != 503 || refusal.RetryAfter != 2*time.Minute || refusal.About() {
		t.Errorf("busy: %+v", refusal)
	}
	if refusal, ok := errors.AsType[*webhook.RefusedError](send("/moved")); !ok || refusal.Status != 307 || len(followed) > 0 {
		t.Errorf("moved: %+v", refusal)
	}
	if err := send("/hang"); err == nil || !strings.Contains(err.Error(), "did not answer within 2s") {
		t.Errorf("hang: %v", err)
	}
	guarded := webhook.NewSender(webhook.SenderConfig{})
	t.Cleanup(guarded.Close)
	for _, url := range []string{server.URL, strings.Replace(server.URL, "127.0.0.1", "localhost", 1)} {
		err := guarded.Send(t.Context(), webhook.Request{URL: url + "?token=hidden", Secret: secret, ID: "id"})
		if err == nil || !strings.Contains(err.Error(), "is not public") || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v", url, err)
		}
	}
	server.CloseClientConnections()
	if err := sender.Send(t.Context(), webhook.Request{URL: "http://127.0.0.1:1/"}); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("nobody there: %v", err)
	}
}
