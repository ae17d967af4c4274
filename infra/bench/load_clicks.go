package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"

	"github.com/geminivideo/geminivideo/functions/clicks"
	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// loadClicks sends beacons and then looks every one of them up.
func loadClicks(ctx context.Context, lasting time.Duration, inFlight int) error {
	db, app, err := openDoor(ctx)
	if err != nil {
		return err
	}
	defer db.close()
	defer app.Close()
	const (
		much = 1e9
		key  = "gv_pk_bench"
	)
	_, err = db.admin.Exec(ctx, `INSERT INTO gv.publishable_keys (tenant_id, key_hash, prefix, created_by) VALUES ($1, $2, 'gv_pk', 'bench')`,
		tenantID(0), attribution.KeyHash(key))
	if err != nil {
		return err
	}
	queue := &accepting{}
	server := httptest.NewServer(serve.Wrap("clicks", clicks.New(app, queue, clicks.Limits{PerIP: much, PerKey: much, PerDay: much})))
	defer server.Close()
	cpu := db.cpu(ctx)
	got := loop(inFlight, lasting, func(n int64) (*http.Request, error) {
		body, err := json.Marshal(map[string]any{
			"tenant_id": tenantID(0), "ad_id": "a" + strconv.FormatInt(n%500, 10), "campaign_id": "c1",
			"click_id": "bench-" + strconv.FormatInt(n, 10),
			"fbclid":   "fb-" + strconv.FormatInt(n, 10), "landing_page_url": "https://shop.example/?utm_source=meta", "utm_source": "meta",
		})
		if err != nil {
			return nil, err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/api/ml/attribution/track-click", bytes.NewReader(body))
		if err == nil {
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("X-Publishable-Key", key)
		}
		return r, err
	})
	cpu = db.cpu(ctx) - cpu
	var stored, bytesEach int64
	if err := db.admin.QueryRow(ctx, `SELECT count(*), pg_total_relation_size('gv.clicks') / greatest(count(*), 1) FROM gv.clicks`).Scan(&stored, &bytesEach); err != nil {
		return err
	}
	printLoad("click beacon, 2 connections", got, fmt.Sprintf("%s database CPU and %d bytes a click, indexes included",
		(cpu/time.Duration(max(len(got.took), 1))).Round(time.Microsecond), bytesEach))
	fmt.Printf("    %d clicks were acknowledged and %d are stored\n", len(got.took)-got.failed, stored)
	if missing := int64(len(got.took)-got.failed) - stored; missing > 0 || got.failed > 0 {
		return fmt.Errorf("%d acknowledged clicks are not stored, %d were refused", max(missing, 0), got.failed)
	}
	return nil
}
