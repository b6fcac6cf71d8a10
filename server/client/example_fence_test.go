package client_test

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/wakelatch/wakelatch/server/client"
	"github.com/wakelatch/wakelatch/sql/dbtest"
)

// An agent whose side effect is a row in the same Postgres commits it only under its claim: the last statement
// of its transaction finds no row once the claim is lost, and keeps it from being taken over until the commit.
// See docs/fencing.md.
func ExampleWake_ID() {
	const holdClaim = `SELECT 1 FROM wakelatch.consumer_claims
		WHERE tenant_id = $1 AND consumer_id = $2 AND epoch = $3 AND status = 'active' AND done_at IS NULL FOR SHARE`

	tb := &exampleTB{}
	defer tb.end()
	database := dbtest.New(tb)
	ledger := database.Pool
	ctx := context.Background()
	if _, err := ledger.Exec(ctx, `CREATE TABLE payment (key text PRIMARY KEY, body jsonb NOT NULL)`); err != nil {
		fmt.Println(err)
		return
	}
	pay := func(ctx context.Context, w *client.Wake) error {
		return pgx.BeginFunc(ctx, ledger, func(tx pgx.Tx) error {
			for _, m := range w.Messages() {
				// A message may come twice: after a crash between this commit and the done.
				_, err := tx.Exec(ctx, `INSERT INTO payment (key, body) VALUES ($1, $2) ON CONFLICT DO NOTHING`, m.Key, m.Payload)
				if err != nil {
					return err
				}
			}
			held, err := tx.Exec(ctx, holdClaim, "default", w.ID(), w.Epoch())
			if err == nil && held.RowsAffected() == 0 {
				err = client.ErrClaimLost
			}
			return err
		})
	}
	if _, err := exampleRunOn("http://"+startNode(tb, database.DSN), pay, ""); err != nil {
		fmt.Println(err)
		return
	}
	var body string
	err := ledger.QueryRow(ctx, `SELECT body FROM payment`).Scan(&body)
	fmt.Println(body, err)
	// Output: "hello" <nil>
}
