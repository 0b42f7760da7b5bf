package main

import (
	"log/slog"
	"time"

	"mpim/domain"
	"mpim/streams"
)

// Settings are what every command shares. Each is a flag, an environment variable, a key of the configuration file.
// A tag live:"" says that it changes without a restart; secret:"" that it is never printed.
type Settings struct {
	RedisURL      string             `help:"Redis that holds the log." env:"MPIM_REDIS_URL" default:"redis://127.0.0.1:6379/0" secret:"" group:"Connections"`
	RedisCacheURL string             `help:"Redis for caches; the same where empty." env:"MPIM_REDIS_CACHE_URL" secret:"" group:"Connections"`
	DatabaseURL   string             `help:"SQL database: mysql://user:pass@host:port/db, sqlite:///file or sqlite::memory:." env:"MPIM_DATABASE_URL" secret:"" group:"Connections"`
	AuthKey       string             `help:"Key that signs tokens, at least 32 bytes." env:"MPIM_AUTH_KEY" secret:"" group:"Connections"`
	Durability    streams.Durability `help:"What an acknowledgement proves: appended or fsynced." env:"MPIM_DURABILITY" default:"appended" enum:"appended,fsynced" group:"Connections"`
	Partitions    int                `help:"Partitions of a log that is created now; fixed for ever." env:"MPIM_PARTITIONS" default:"16" group:"Connections"`

	LogLevel slog.Level    `help:"debug, info, warn or error." env:"MPIM_LOG_LEVEL" default:"info" live:"" group:"Running"`
	Drain    time.Duration `help:"How long a stopping process may take." env:"MPIM_DRAIN" default:"20s" group:"Running"`

	LimitsRegisterPerHour int `help:"Registrations an hour per address; 0 for no limit." env:"MPIM_LIMITS_REGISTER_PER_HOUR" default:"10" group:"Limits"`
	LimitsLoginPerMinute  int `help:"Failed logins a minute per user name and address; 0 for no limit." env:"MPIM_LIMITS_LOGIN_PER_MINUTE" default:"10" group:"Limits"`
	LimitsSendPerSecond   int `help:"Messages a second per session; 0 for no limit." env:"MPIM_LIMITS_SEND_PER_SECOND" default:"20" group:"Limits"`
	LimitsSendBurst       int `help:"Messages at once per session." env:"MPIM_LIMITS_SEND_BURST" default:"100" group:"Limits"`
	LimitsFrameBytes      int `help:"Bytes of a frame to the server." env:"MPIM_LIMITS_FRAME_BYTES" default:"65536" group:"Limits"`
	LimitsTextBytes       int `help:"Bytes of a message's text." env:"MPIM_LIMITS_TEXT_BYTES" default:"16384" group:"Limits"`
	LimitsGroupMembers    int `help:"Members of a group." env:"MPIM_LIMITS_GROUP_MEMBERS" default:"10000" group:"Limits"`
	LimitsClientIDBytes   int `name:"limits-client-id-bytes" help:"Bytes of a client id." env:"MPIM_LIMITS_CLIENT_ID_BYTES" default:"64" group:"Limits"`

	level *slog.LevelVar
}

// Validate refuses what no part could work with. Kong calls it.
func (s *Settings) Validate() error {
	switch {
	case s.Partitions < 1 || s.Partitions > domain.MaxPartitions:
		return usagef("partitions (MPIM_PARTITIONS) is %d: write 1 to %d", s.Partitions, domain.MaxPartitions)
	case s.AuthKey != "" && len(s.AuthKey) < 32:
		return usagef("auth-key (MPIM_AUTH_KEY) is too short: write at least 32 random bytes, such as `openssl rand -hex 32` prints")
	case s.LimitsSendPerSecond < 0 || s.LimitsSendBurst < 0 || s.LimitsRegisterPerHour < 0 || s.LimitsLoginPerMinute < 0:
		return usagef("a limit is negative: write 0 for no limit")
	case s.LimitsFrameBytes < 1024 || s.LimitsTextBytes < 1 || s.LimitsGroupMembers < 2 || s.LimitsClientIDBytes < 1:
		return usagef("limits-frame-bytes, limits-text-bytes, limits-group-members or limits-client-id-bytes is too small")
	}
	return nil
}
