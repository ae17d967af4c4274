package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// databaseCopy is a copy of the bench's database, with the same roles.
type databaseCopy struct {
	database
	name string
}

// copy makes a copy under a name. Nobody may be connected to the original.
func (db *database) copy(ctx context.Context, name string) (*databaseCopy, error) {
	c := &databaseCopy{name: name}
	address, err := db.cluster.EnsureDatabase(ctx, "postgres")
	if err != nil {
		return nil, err
	}
	admin, err := pgx.Connect(ctx, address)
	if err != nil {
		return nil, err
	}
	defer admin.Close(ctx)
	_ = db.admin.Close(ctx)
	if _, err := admin.Exec(ctx, `CREATE DATABASE `+name+` TEMPLATE bench`); err != nil {
		return nil, err
	}
	if db.admin, err = pgx.Connect(ctx, db.cluster.URL("bench")); err != nil {
		return nil, err
	}
	if c.admin, err = pgx.Connect(ctx, db.cluster.URL(name)); err != nil {
		return nil, err
	}
	c.app, c.worker = strings.Replace(db.app, "/bench", "/"+name, 1), strings.Replace(db.worker, "/bench", "/"+name, 1)
	return c, nil
}

// longestScript is where a script ends at the next COMMIT: pgbench's reading of a script
// takes time by the square of its length.
const longestScript = 2_000_000

// scripts returns what the functions' role asked the database, from the server's log, with
// the parameters written out, for pgbench, and how many statements that are.
func (c *databaseCopy) scripts(ctx context.Context) (scripts []string, statements int, err error) {
	var log string
	if err := c.admin.QueryRow(ctx, `SELECT pg_read_file('log/bench.csv')`).Scan(&log); err != nil {
		return nil, 0, err
	}
	types := map[string][]string{}
	lines := csv.NewReader(strings.NewReader(log))
	var out strings.Builder
	for {
		line, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return append(scripts, out.String()), statements, nil
		}
		if err != nil {
			return nil, 0, err
		}
		const user, database, said, detail = 1, 2, 13, 14
		if line[user] != "gv_app" || line[database] != c.name {
			continue
		}
		if sql, plain := strings.CutPrefix(line[said], "statement: "); plain {
			// Statements of one message stay one trip to the server.
			out.WriteString(strings.ReplaceAll(strings.TrimSuffix(sql, ";"), ";", `\;`) + ";\n")
			statements++
			if out.Len() > longestScript && strings.EqualFold(sql, "commit") {
				scripts = append(scripts, out.String())
				out.Reset()
			}
			continue
		}
		_, sql, found := strings.Cut(line[said], ": ")
		if !found || !strings.HasPrefix(line[said], "execute ") {
			continue
		}
		if types[sql] == nil {
			if types[sql], err = c.parameterTypes(ctx, sql); err != nil {
				return nil, 0, err
			}
		}
		written, err := written(sql, line[detail], types[sql])
		if err != nil {
			return nil, 0, err
		}
		out.WriteString(written + ";\n")
		statements++
	}
}

// parameterTypes returns the names of the types of a statement's parameters.
func (c *databaseCopy) parameterTypes(ctx context.Context, sql string) ([]string, error) {
	if _, err := c.admin.Exec(ctx, `SET search_path = gv, extensions, public`); err != nil {
		return nil, err
	}
	described, err := c.admin.Prepare(ctx, "", sql)
	if err != nil {
		return nil, fmt.Errorf("describe a logged statement: %w: %s", err, sql)
	}
	types := make([]string, len(described.ParamOIDs))
	for i, oid := range described.ParamOIDs {
		if err := c.admin.QueryRow(ctx, `SELECT $1::oid::regtype::text`, oid).Scan(&types[i]); err != nil {
			return nil, err
		}
	}
	return types, nil
}

var (
	parameter = regexp.MustCompile(`\$\d+`)
	logged    = regexp.MustCompile(`\$(\d+) = (NULL|'(?:[^']|'')*')`)
)

// written is the statement with its logged parameters in their places.
func written(sql, detail string, types []string) (string, error) {
	values := map[string]string{}
	for _, m := range logged.FindAllStringSubmatch(detail, -1) {
		i, err := strconv.Atoi(m[1])
		if err != nil || i > len(types) {
			return "", fmt.Errorf("parameter %s of a logged statement is not one of %d", m[1], len(types))
		}
		values["$"+m[1]] = "(" + m[2] + "::" + types[i-1] + ")"
	}
	if len(values) != len(types) {
		return "", fmt.Errorf("%d of %d parameters of a statement were logged: %s", len(values), len(types), sql)
	}
	return parameter.ReplaceAllStringFunc(strings.TrimSuffix(strings.TrimSpace(sql), ";"), func(p string) string { return values[p] }), nil
}
