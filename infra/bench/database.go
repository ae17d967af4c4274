package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
	"github.com/geminivideo/geminivideo/migrations"
)

// database is that of a private cluster, with the migrations and nothing else; it
// is removed after the run.
type database struct {
	cluster     *cluster.Cluster
	admin       *pgx.Conn
	app, worker string // the roles' URLs
	close       func()
}

// private starts the cluster, and makes a database with the schema in it.
func private(ctx context.Context, more ...map[string]string) (*database, error) {
	db, err := server(ctx, more...)
	if err != nil {
		return nil, err
	}
	if err := db.prepare(ctx, db.cluster); err != nil {
		db.close()
		return nil, err
	}
	return db, nil
}

// server starts the cluster, as durable as a real one, with further settings of the server.
func server(ctx context.Context, more ...map[string]string) (*database, error) {
	dir, err := os.MkdirTemp("", "geminivideo-bench-")
	if err != nil {
		return nil, err
	}
	settings := map[string]string{"shared_buffers": "512MB", "max_wal_size": "4GB"}
	for _, m := range more {
		maps.Copy(settings, m)
	}
	c, err := cluster.Start(ctx, cluster.Options{Dir: dir, Settings: settings})
	if err != nil {
		return nil, err
	}
	db := &database{cluster: c}
	remove := sync.OnceFunc(func() {
		_ = c.Close()
		removeCluster(dir)
		_ = os.RemoveAll(dir)
	})
	db.close = remove
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stopped
		remove()
		os.Exit(1)
	}()
	return db, nil
}

func (db *database) prepare(ctx context.Context, c *cluster.Cluster) (err error) {
	admin, err := c.EnsureDatabase(ctx, "bench")
	if err != nil {
		return err
	}
	if db.admin, err = pgx.Connect(ctx, admin); err != nil {
		return err
	}
	if _, err := migrations.Apply(ctx, db.admin); err != nil {
		return err
	}
	u, err := url.Parse(admin)
	if err != nil {
		return err
	}
	for role, to := range map[string]*string{"gv_app": &db.app, "gv_worker": &db.worker} {
		password := rand.Text()
		if _, err := db.admin.Exec(ctx, `ALTER ROLE `+role+` PASSWORD '`+password+`'`); err != nil {
			return err
		}
		u.User = url.UserPassword(role, password)
		*to = u.String()
	}
	return nil
}

// tenantID is the i-th made-up tenant's.
func tenantID(i int) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "bench %d", i)).String()
}

// fillAds makes ads of 9 tenants, each half as large as the one before, with two
// accounts each, and their days up to yesterday, all of them steady.
func (db *database) fillAds(n, days int) error {
	ctx := context.Background()
	for i := range 9 {
		_, err := db.admin.Exec(ctx, `INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, $2)`, tenantID(i), fmt.Sprint("Tenant ", i))
		if err != nil {
			return err
		}
	}
	for _, sql := range []string{
		`CREATE TEMP TABLE made AS
		SELECT t.tenant_id, 'act_' || i % 2 AS account_id, '1202' || lpad((i * 7919 % 1000003)::text, 12, '0') AS ad_id, i
		FROM   generate_series(0, $1::int - 1) i
		JOIN   (SELECT tenant_id, row_number() OVER (ORDER BY tenant_id) - 1 AS n FROM gv.tenants) t
		       ON t.n = least(floor(-log(2, 1 - ((i::numeric * 7919 % 100003) / 100003))), 8)`,
		`INSERT INTO gv.accounts (tenant_id, account_id, mode) SELECT DISTINCT tenant_id, account_id, 'dry_run' FROM made WHERE $1 > 0`,
		`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) SELECT DISTINCT tenant_id, account_id || '/c', account_id FROM made WHERE $1 > 0`,
		`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, adset_id, name, daily_budget_minor, impressions, clicks, spend_minor)
		SELECT tenant_id, ad_id, account_id, account_id || '/c', 'set' || ad_id, 'Ad ' || ad_id, 5000, 30000, 600, 30000 FROM made WHERE $1 > 0`,
	} {
		if _, err := db.admin.Exec(ctx, sql, n); err != nil {
			return err
		}
	}
	_, err := db.admin.Exec(ctx, `
		INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor, frequency)
		SELECT tenant_id, ad_id, current_date - $1::int + d, seen,
		       (seen * 0.02 * (0.95 + 0.1 * random()))::int,
		       (seen * 0.01 * 100 * (0.97 + 0.06 * random()))::int, 1.4 + 0.2 * random()
		FROM   made, generate_series(0, $1::int - 1) d, LATERAL (SELECT (3000 + 2000 * random() + i + d * 0)::int AS seen) s`, days)
	if err != nil {
		return err
	}
	_, err = db.admin.Exec(ctx, `VACUUM (ANALYZE) gv.ads, gv.ad_metrics`)
	return err
}

// tire has the CTR of a share of the ads fall by half, two days ago.
func (db *database) tire(share float64) error {
	ctx := context.Background()
	_, err := db.admin.Exec(ctx, `
		UPDATE gv.ad_metrics m SET clicks = clicks / 2
		FROM   (SELECT tenant_id, ad_id, row_number() OVER (ORDER BY md5(ad_id)) AS n, count(*) OVER () AS of FROM gv.ads) a
		WHERE  m.tenant_id = a.tenant_id AND m.ad_id = a.ad_id AND a.n <= round(a.of * $1::float8) AND m.day >= current_date - 2`, share)
	if err != nil {
		return err
	}
	_, err = db.admin.Exec(ctx, `VACUUM (ANALYZE) gv.ad_metrics`)
	return err
}

// removeCluster removes what a cluster has kept of its data, wherever that is.
func removeCluster(dir string) { _ = cluster.Remove(dir) }
