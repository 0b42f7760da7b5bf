package main

import (
	"log/slog"
	"sync/atomic"
	"time"

	"mpim/domain/account"
	"mpim/handlers/api"
	"mpim/streams"
)

// Settings are what every command shares. Each is a flag, an environment variable and a key of the configuration file.
// The tags: live says that it changes without a restart, secret that it is never printed in full, min and max bound it,
// and for names the commands whose help shows it (all where it is missing).
type Settings struct {
	RedisURL      string             `help:"Redis that holds the log, by default redis://127.0.0.1:6379/0; rediss:// with TLS." env:"MPIM_REDIS_URL" default:"redis://127.0.0.1:6379/0" placeholder:"URL" secret:"" group:"Connections" for:"dev gateway worker migrate log replay projection user session notice import audit doctor config"`
	RedisCacheURL string             `help:"Redis for the cache alone, with an LRU policy; by default the cache is beside the log, within cache-bytes." env:"MPIM_REDIS_CACHE_URL" placeholder:"URL" secret:"" group:"Connections" for:"dev gateway worker cache config"`
	DatabaseURL   string             `help:"SQL database: mysql://user:pass@host:port/db, sqlite:///file or sqlite::memory:." env:"MPIM_DATABASE_URL" placeholder:"URL" secret:"" group:"Connections" for:"dev gateway worker migrate log replay projection user session notice import audit doctor config"`
	AuthKey       string             `help:"Key that signs tokens, at least 32 bytes, the same for every gateway. Better in the environment than on a command line." env:"MPIM_AUTH_KEY" placeholder:"KEY" secret:"" group:"Connections" for:"dev gateway worker log replay user audit doctor config"`
	Seal          string             `help:"on: what people write is stored sealed with keys of their own, so that it can be erased; off: as it is." env:"MPIM_SEAL" enum:"on,off" default:"on" group:"Connections" for:"dev gateway worker config"`
	SealKey       string             `help:"Key that protects the keys of users, at least 32 characters, the same for every process; older ones behind it, with commas. By default made of MPIM_AUTH_KEY." env:"MPIM_SEAL_KEY" placeholder:"KEY" secret:"" group:"Connections" for:"dev gateway worker log replay user import webhook deadletter doctor config"`
	AuditKey      string             `help:"Private key that signs the heads of the log's trees, the same for every worker, as audit key prints it; older ones behind it, with commas, public or private. By default made of MPIM_AUTH_KEY." env:"MPIM_AUDIT_KEY" placeholder:"KEY" secret:"" group:"Connections" for:"dev worker log audit doctor config"`
	Durability    streams.Durability `help:"What an acknowledgement proves: appended or fsynced." env:"MPIM_DURABILITY" default:"appended" group:"Connections" for:"dev gateway worker migrate user session notice import doctor config"`
	Partitions    int                `help:"Partitions of a log that is created now; they are fixed for ever." env:"MPIM_PARTITIONS" default:"16" min:"1" max:"256" group:"Connections" for:"dev migrate config"`

	LogLevel       slog.Level    `help:"debug, info, warn or error; dev begins at warn." env:"MPIM_LOG_LEVEL" default:"info" live:"" group:"Running" for:"dev gateway worker config"`
	LogKeep        time.Duration `help:"How long an event stays in Redis at least, once it is archived." env:"MPIM_LOG_KEEP" default:"24h" group:"Running" for:"dev worker log doctor config"`
	AuditSignEvery time.Duration `help:"How often the heads of the log's trees are signed while events come." env:"MPIM_AUDIT_SIGN_EVERY" default:"10s" group:"Running" for:"dev worker config"`
	LogAutoRepair  bool          `help:"Repair the log by itself where Redis came back with less than was seen." env:"MPIM_LOG_AUTO_REPAIR" default:"true" negatable:"" group:"Running" for:"dev worker config"`
	Drain          time.Duration `help:"How long a stopping process may take." env:"MPIM_DRAIN" default:"20s" group:"Running" for:"dev gateway worker config"`

	LimitsRegisterPerHour int `help:"Registrations an hour per address; 0 for no limit." env:"MPIM_LIMITS_REGISTER_PER_HOUR" default:"10" live:"" group:"Limits" for:"dev gateway config"`
	LimitsLoginPerMinute  int `help:"Failed logins a minute per user name and address; 0 for no limit." env:"MPIM_LIMITS_LOGIN_PER_MINUTE" default:"10" live:"" group:"Limits" for:"dev gateway config"`
	LimitsSendPerSecond   int `help:"Messages a second per session; 0 for no limit." env:"MPIM_LIMITS_SEND_PER_SECOND" default:"20" live:"" group:"Limits" for:"dev gateway config"`
	LimitsSendBurst       int `help:"Messages at once per session." env:"MPIM_LIMITS_SEND_BURST" default:"100" live:"" group:"Limits" for:"dev gateway config"`
	LimitsFrameBytes      int `help:"Bytes of a frame to the server; 0 for no limit." env:"MPIM_LIMITS_FRAME_BYTES" default:"65536" min:"0" group:"Limits" for:"dev gateway config"`
	LimitsTextBytes       int `help:"Bytes of a message's text; 0 for no limit." env:"MPIM_LIMITS_TEXT_BYTES" default:"16384" min:"0" group:"Limits" for:"dev gateway config"`
	LimitsGroupMembers    int `help:"Members of a group; 0 for the most there can be, 100,000." env:"MPIM_LIMITS_GROUP_MEMBERS" default:"10000" min:"0" max:"100000" group:"Limits" for:"dev gateway config"`
	LimitsClientIDBytes   int `name:"limits-client-id-bytes" help:"Characters of a client id; 0 for no limit." env:"MPIM_LIMITS_CLIENT_ID_BYTES" default:"64" min:"0" group:"Limits" for:"dev gateway config"`

	WebhookGiveUp       time.Duration `help:"How long an event is sent to a receiver that does not take it, before it goes to the dead letters." env:"MPIM_WEBHOOK_GIVE_UP" default:"24h" group:"Webhooks" for:"dev worker config"`
	WebhookAllowPrivate bool          `help:"Let webhooks go to addresses that are not public; dev does." env:"MPIM_WEBHOOK_ALLOW_PRIVATE" group:"Webhooks" for:"dev worker webhook deadletter config"`

	OfflineHookURL     string `help:"Tell this service of messages that find no connection of a recipient." env:"MPIM_OFFLINE_HOOK_URL" placeholder:"URL" secret:"" group:"Webhooks" for:"dev worker deadletter config"`
	OfflineHookSecret  string `help:"Secret that signs what it is told: whsec_ and 24 to 64 bytes in base64." env:"MPIM_OFFLINE_HOOK_SECRET" placeholder:"whsec_…" secret:"" group:"Webhooks" for:"dev worker deadletter config"`
	OfflineHookMembers int    `help:"Size of a group above which it is not told." env:"MPIM_OFFLINE_HOOK_MEMBERS" default:"200" min:"2" max:"2000" group:"Webhooks" for:"dev worker config"`

	CacheBytes int `help:"Bytes that the cache may take beside the log; 0 caches nothing there." env:"MPIM_CACHE_BYTES" default:"67108864" min:"0" live:"" group:"Running" for:"dev gateway worker cache config"`

	level *slog.LevelVar
	// ownAuthKey says that AuthKey was made for this life of `mpim dev`.
	ownAuthKey bool
	cacheBytes *atomic.Int64
}

// restBodyBytes bounds the body of a REST request.
const restBodyBytes = 1 << 20

// rates returns how often things may be done.
func (s *Settings) rates() api.Rates {
	rates := api.DefaultRates()
	rates.SendPerSecond, rates.SendBurst = s.LimitsSendPerSecond, s.LimitsSendBurst
	rates.LoginPerMinute, rates.RegisterPerHour = s.LimitsLoginPerMinute, s.LimitsRegisterPerHour
	return rates
}

// shownLimits are those that clients are told of beside the gateway's own, as they are at the start; 0 is no limit.
func (s *Settings) shownLimits() map[string]int64 {
	rates := s.rates()
	return map[string]int64{
		"send_per_second": int64(rates.SendPerSecond), "send_burst": int64(rates.SendBurst),
		"receipt_per_second": int64(rates.ReceiptPerSecond), "receipt_burst": int64(rates.ReceiptBurst),
		"group_members": int64(s.LimitsGroupMembers), "client_id_bytes": int64(s.LimitsClientIDBytes),
		"username_min": account.MinUsername, "username_max": account.MaxUsername,
		"password_min_bytes": account.MinPassword, "password_max_bytes": account.MaxPassword,
		"display_name": account.MaxDisplayName, "sessions": account.MaxSessions, "body_bytes": restBodyBytes, "text_bytes": int64(s.LimitsTextBytes),
	}
}

// frameBytes is how gateway.Limits says it: there 0 means the default, and no limit is a negative number.
func (s *Settings) frameBytes() int64 {
	if s.LimitsFrameBytes == 0 {
		return -1
	}
	return int64(s.LimitsFrameBytes)
}
