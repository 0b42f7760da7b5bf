package streams_test

import (
	"strings"
	"testing"

	"mpim/streams"
	"mpim/streams/streamstest"
)

func TestSettingsCheck(t *testing.T) {
	t.Parallel()
	safe := streams.Settings{Version: "7.0.15", AppendOnly: "yes", AppendFsync: "everysec", MaxMemoryPolicy: "noeviction"}
	for name, test := range map[string]struct {
		change     func(*streams.Settings)
		durability streams.Durability
		want       string // "" for safe
	}{
		"safe":              {func(*streams.Settings) {}, streams.Appended, ""},
		"synced always":     {func(s *streams.Settings) { s.AppendFsync = "always" }, streams.Fsynced, ""},
		"oldest":            {func(s *streams.Settings) { s.Version = "7.0.0" }, streams.Appended, ""},
		"newest":            {func(s *streams.Settings) { s.Version = "8.2.1" }, streams.Appended, ""},
		"too old":           {func(s *streams.Settings) { s.Version = "6.2.14" }, streams.Appended, "install 7.0 or later"},
		"no version":        {func(s *streams.Settings) { s.Version = "unstable" }, streams.Appended, "install 7.0 or later"},
		"no file":           {func(s *streams.Settings) { s.AppendOnly = "no" }, streams.Appended, "CONFIG SET appendonly yes"},
		"never synced":      {func(s *streams.Settings) { s.AppendFsync = "no" }, streams.Appended, "CONFIG SET appendfsync everysec"},
		"evicting":          {func(s *streams.Settings) { s.MaxMemoryPolicy = "allkeys-lru" }, streams.Appended, "CONFIG SET maxmemory-policy noeviction"},
		"not synced enough": {func(*streams.Settings) {}, streams.Fsynced, "CONFIG SET appendfsync always"},
	} {
		settings := safe
		test.change(&settings)
		err := settings.Check(test.durability)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: error is %v, want one that says %q", name, err, test.want)
		}
	}
	all := streams.Settings{Version: "5.0.1", AppendOnly: "no", AppendFsync: "no", MaxMemoryPolicy: "volatile-lru"}.Check(streams.Fsynced)
	if all == nil || strings.Count(all.Error(), ";") != 4 {
		t.Errorf("five problems give %v", all)
	}
}

func TestSettingsOfServers(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t, streamstest.With("appendfsync", "always"))
	settings, err := streams.RedisServer{Client: server.Client()}.Settings(t.Context())
	if err != nil || settings.AppendFsync != "always" || settings.Check(streams.Fsynced) != nil {
		t.Errorf("settings are %+v, %v", settings, err)
	}
	settings, err = streams.EmbeddedServer{}.Settings(t.Context())
	if err != nil || settings.Check(streams.Appended) != nil || settings.Check(streams.Fsynced) == nil {
		t.Errorf("settings of the embedded store are %+v, %v", settings, err)
	}
}

func TestParseDurability(t *testing.T) {
	t.Parallel()
	for _, d := range []streams.Durability{streams.Appended, streams.Fsynced} {
		if got, err := streams.ParseDurability(string(d)); got != d || err != nil {
			t.Errorf("%s gives %s, %v", d, got, err)
		}
	}
	if _, err := streams.ParseDurability("replicated"); err == nil {
		t.Error("a durability that is not there is accepted")
	}
}

func TestConnect(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"localhost:6379":               "write redis://host:6379/0",
		"http://localhost:6379":        "write redis://host:6379/0",
		"://":                          "no URL",
		"redis://localhost:6379/first": "not understood",
		"redis://h/0?no_such_option=1": "not understood",
		"redis://user:pass word@h/0":   "no URL",
		"redis://u:secret@h:port/0":    "no URL",
		"redis://u:secret@h/0?db=none": "not understood",
	} {
		client, err := streams.Connect(address, 4)
		if err == nil {
			_ = client.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error is %v, want one that says %q and no password", address, err, want)
		}
	}
	server := streamstest.StartRedis(t)
	client, err := streams.Connect(server.URL(), 4)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
	if client, err = streams.Connect(strings.Replace(server.URL(), "redis:", "rediss:", 1), 4); err != nil {
		t.Error(err)
	} else {
		_ = client.Close()
	}
}
