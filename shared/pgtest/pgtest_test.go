package pgtest_test

import (
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/shared/pgtest"
)

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	for range 8 {
		t.Run("clone", func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			db := pgtest.New(t)
			t.Logf("made in %v", time.Since(begin))
			var tables int
			if err := db.Admin(t).QueryRow(t.Context(), `SELECT count(*) FROM pg_tables WHERE schemaname = 'gv'`).Scan(&tables); err != nil {
				t.Fatal(err)
			}
			if tables == 0 {
				t.Error("the migrations are not in it")
			}
		})
	}
}
