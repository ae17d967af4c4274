package pgtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// tick is the unit of /proc's processor times.
const tick = 10 * time.Millisecond

// CPU returns the processor time that the open connections of the database's roles have
// used so far: the difference of two calls is the cost of what happened between
// them, while no connection closes. It needs Linux and a server on this machine.
func (db *DB) CPU(t testing.TB) time.Duration {
	t.Helper()
	rows, err := db.Admin(t).Query(t.Context(), `
		SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename IN ('gv_app', 'gv_worker')`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var used time.Duration
	for rows.Next() {
		var pid int
		if err := rows.Scan(&pid); err != nil {
			t.Fatal(err)
		}
		one, err := processorTime(pid)
		if err != nil {
			t.Fatal(err)
		}
		used += one
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return used
}

func processorTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The process's name comes in parentheses and may hold spaces.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var used time.Duration
	for _, field := range fields[11:13] { // utime and stime, fields 14 and 15 of the line
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		used += time.Duration(ticks) * tick
	}
	return used, nil
}
