package entity_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakelatch/wakelatch/server/entity"
	"github.com/wakelatch/wakelatch/server/stream"
)

// A tag write is fenced like an append: it needs the claim that is in force, whatever its writer's node believes.
func TestTagOfAnotherClaimIsFenced(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	d.spawn(`1`)
	n, err := d.claim(1)
	require.NoError(t, err)
	before := d.tail()
	write := func(h stream.Holder) error {
		_, _, err := d.entities.SetTag(t.Context(), entity.TagRequest{Tenant: tenant, EntityURL: url, Key: "color", Value: "red", Holder: &h})
		return err
	}
	for name, holder := range map[string]stream.Holder{
		"another consumer": {Consumer: "w_other", Epoch: n.Epoch},
		"an older epoch":   {Consumer: n.Consumer, Epoch: n.Epoch - 1},
		"a newer epoch":    {Consumer: n.Consumer, Epoch: n.Epoch + 1},
	} {
		require.ErrorIs(t, write(holder), entity.ErrFenced, name)
	}
	require.Equal(t, before, d.tail(), "nothing landed")
	require.NoError(t, write(stream.Holder{Consumer: n.Consumer, Epoch: n.Epoch}))
}
