package wire_test

import (
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"
)

// snapshot is a digest of every table's rows. Two that are equal mean that nothing was written in between.
func (n *node) snapshot() map[string]string {
	n.t.Helper()
	rows, err := n.pool.Query(n.t.Context(), `SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables
		WHERE schemaname = 'wakelatch' OR tablename LIKE 'river\_job' ORDER BY 1`)
	require.NoError(n.t, err)
	var parts []string
	for rows.Next() {
		var table string
		require.NoError(n.t, rows.Scan(&table))
		parts = append(parts, fmt.Sprintf(`SELECT '%[1]s', coalesce(md5(string_agg(t::text, E'\n' ORDER BY t::text)), '') FROM %[1]s t`, table))
	}
	require.NoError(n.t, rows.Err())
	require.Greater(n.t, len(parts), 12, "the tables are there")
	rows, err = n.pool.Query(n.t.Context(), strings.Join(parts, " UNION ALL "))
	require.NoError(n.t, err)
	digests := map[string]string{}
	for rows.Next() {
		var table, digest string
		require.NoError(n.t, rows.Scan(&table, &digest))
		digests[table] = digest
	}
	require.NoError(n.t, rows.Err())
	return digests
}
