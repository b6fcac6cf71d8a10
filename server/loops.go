package server

import (
	"context"
	"time"
)

// reconcile looks, slowly, for what a lost hint left behind: tokens of claims that are over and readers of
// streams that have grown.
func (n *node) reconcile(ctx context.Context) error {
	claims := n.claims.NewReconciler()
	return every(ctx, n.options.ReconcileInterval, func() {
		if err := claims.Reconcile(ctx); err != nil && ctx.Err() == nil {
			n.options.Logger.WarnContext(ctx, "claims are reconciled at the next turn", "error", err)
		}
		if err := n.hub.Reconcile(ctx); err != nil && ctx.Err() == nil {
			n.options.Logger.WarnContext(ctx, "readers are reconciled at the next turn", "error", err)
		}
	})
}

const (
	distrustTick = time.Second
	// A node may be deaf for this long and still believe what it heard before.
	distrustAfter = 3 * time.Second
)

// distrust makes the view look at the rows again for as long as this node hears of no release. The fence
// of every write holds without it; what it saves is the work of a writer whose epoch is over.
func (n *node) distrust(ctx context.Context) error {
	return every(ctx, distrustTick, func() {
		if n.listener.Disconnected() > distrustAfter {
			n.view.Distrust()
		}
	})
}

func every(ctx context.Context, interval time.Duration, do func()) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			do()
		}
	}
}
