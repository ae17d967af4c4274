package pg

import (
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// DemandTLS makes a connection to a database that is not on this machine use TLS
// or fail: without sslmode Postgres clients fall back to plain text when the
// server, or whoever stands before it, offers nothing else. A URL that switches
// TLS off for such a database is an error. Where sslmode asks for more, such as
// verify-full, that stands.
func DemandTLS(cfg *pgconn.Config) error {
	// Fallbacks hold every further host, and each host again without TLS.
	plain := func(host string, encrypted bool) bool { return !encrypted && !local(host) }
	secured := slices.DeleteFunc(slices.Clone(cfg.Fallbacks), func(f *pgconn.FallbackConfig) bool { return plain(f.Host, f.TLSConfig != nil) })
	if plain(cfg.Host, cfg.TLSConfig != nil) {
		if len(secured) == 0 {
			return errors.New("the connection to a database on another machine must be encrypted: take sslmode=disable out of its URL, or say sslmode=require")
		}
		first := secured[0] // sslmode=allow tries plain text first
		cfg.Host, cfg.Port, cfg.TLSConfig = first.Host, first.Port, first.TLSConfig
		secured = secured[1:]
	}
	cfg.Fallbacks = secured
	return nil
}

// local reports a host on this machine: a socket's folder, or a loopback address.
func local(host string) bool {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || strings.EqualFold(host, "localhost") || host == "" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
