package migrations

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// object is something that a migration makes, as the catalog can be asked for it.
type object struct{ kind, table, name string }

func (o object) String() string {
	if o.kind == "column" {
		return "column gv." + o.table + "." + o.name
	}
	return o.kind + " gv." + o.name
}

var (
	comment   = regexp.MustCompile(`--[^\n]*`)
	statement = regexp.MustCompile(`(?is)\balter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?gv\.(\w+)([^;]*)`)
	makes     = map[string]*regexp.Regexp{
		"table":    regexp.MustCompile(`(?i)\bcreate\s+table\s+(?:if\s+not\s+exists\s+)?gv\.(\w+)`),
		"function": regexp.MustCompile(`(?i)\bcreate\s+(?:or\s+replace\s+)?(?:function|procedure)\s+gv\.(\w+)`),
		"column":   regexp.MustCompile(`(?i)\badd\s+column\s+(?:if\s+not\s+exists\s+)?(\w+)`),
	}
	// What is renamed is gone by its old name, as what is dropped is.
	drops = map[string]*regexp.Regexp{
		"table":    regexp.MustCompile(`(?i)\b(?:drop\s+table\s+(?:if\s+exists\s+)?gv\.(\w+)|alter\s+table\s+gv\.(\w+)\s+rename\s+to\b)`),
		"function": regexp.MustCompile(`(?i)\bdrop\s+(?:function|procedure)\s+(?:if\s+exists\s+)?gv\.(\w+)`),
		"column":   regexp.MustCompile(`(?i)\b(?:drop\s+column\s+(?:if\s+exists\s+)?(\w+)|rename\s+column\s+(\w+))`),
	}
)

// objects returns what the patterns find in a migration's SQL.
func (m Migration) objects(patterns map[string]*regexp.Regexp) []object {
	sql := comment.ReplaceAllString(m.SQL, "")
	var all []object
	for _, kind := range []string{"table", "function"} {
		for _, found := range patterns[kind].FindAllStringSubmatch(sql, -1) {
			all = append(all, object{kind: kind, name: strings.ToLower(cmp.Or(found[1:]...))})
		}
	}
	for _, alter := range statement.FindAllStringSubmatch(sql, -1) {
		for _, found := range patterns["column"].FindAllStringSubmatch(alter[2], -1) {
			all = append(all, object{"column", strings.ToLower(alter[1]), strings.ToLower(cmp.Or(found[1:]...))})
		}
	}
	return all
}

// Missing returns the first migration up to and including version that the
// database does not have, with the first of its tables, columns or functions
// that is not there; "" where it has them all. What a later migration drops or
// renames is not looked for.
func Missing(ctx context.Context, conn *pgx.Conn, version string) (migration, what string, err error) {
	all, err := All()
	if err != nil {
		return "", "", err
	}
	dropped := map[object]bool{}
	for _, m := range all {
		for _, o := range m.objects(drops) {
			dropped[o] = true
		}
	}
	for _, m := range all {
		if m.Version > version {
			break
		}
		for _, o := range m.objects(makes) {
			if dropped[o] || dropped[object{kind: "table", name: o.table}] {
				continue
			}
			there, err := exists(ctx, conn, o)
			if err != nil {
				return "", "", err
			}
			if !there {
				return m.Version + "_" + m.Name, o.String(), nil
			}
		}
	}
	return "", "", nil
}

func exists(ctx context.Context, conn *pgx.Conn, o object) (there bool, err error) {
	sql := `SELECT to_regclass('gv.' || $2) IS NOT NULL OR $1 = ''`
	switch o.kind {
	case "column":
		sql = `SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('gv.' || $1) AND attname = $2 AND NOT attisdropped)`
	case "function":
		sql = `SELECT EXISTS (SELECT FROM pg_proc WHERE pronamespace = to_regnamespace('gv') AND proname = $2) OR $1 = ''`
	}
	table := o.table
	if o.kind != "column" {
		table = "-" // the argument is there in every statement
	}
	if err := conn.QueryRow(ctx, sql, table, o.name).Scan(&there); err != nil {
		return false, fmt.Errorf("look for %s: %w", o, err)
	}
	return there, nil
}
