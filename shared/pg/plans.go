package pg

import "github.com/jackc/pgx/v5"

// A connection keeps the plans of foreign keys, functions and named statements. One that was
// made while a table was empty takes any index, or none, and reads the whole table when that
// has grown: until Postgres analyses the table, a minute or two later, the first deals or
// clicks of a database cost several times what they need. So a connection's plans are made
// anew after so many transactions, twice as many, and so on, and then after each mostPlanned.
const (
	firstPlanned = 16
	mostPlanned  = 1024
)

const discardPlans = `DISCARD PLANS; `

// plansAnew is what the connection's next transaction begins with.
func plansAnew(conn *pgx.Conn) string {
	const key = "transactions"
	kept := conn.PgConn().CustomData()
	n, _ := kept[key].(int)
	n++
	kept[key] = n
	if n%mostPlanned == 0 || n >= firstPlanned && n&(n-1) == 0 {
		return discardPlans
	}
	return ""
}
