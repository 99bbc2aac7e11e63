package notify

import (
	"context"
	"fmt"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// Reseal seals anew what an older key has sealed of the channels of all projects and of those of each, and says how many
// that were: for the server's start, beside auth.Vault.Reseal.
func Reseal(ctx context.Context, s *store.Store, v *auth.Vault) (resealed int, err error) {
	owners := []int64{0}
	for page := (store.Page{Limit: 500, Sort: "id"}); ; {
		part, err := s.Projects(ctx, store.ProjectFilter{}, page)
		if err != nil {
			return 0, err
		}
		for _, p := range part.Items {
			owners = append(owners, p.ID)
		}
		if page.Cursor = part.Next; page.Cursor == "" {
			break
		}
	}
	for _, owner := range owners {
		err := s.Write(ctx, func(tx *store.Tx) error {
			channels, err := tx.Channels(ctx, owner)
			if err != nil {
				return err
			}
			for _, c := range channels {
				again, older, err := v.Anew(c.Project, sealedName(c.ID), c.Sealed)
				if err != nil {
					return fmt.Errorf("seal the secrets of the channel %s anew: %w", c.Name, err)
				}
				if !older {
					continue
				}
				c.Sealed = again
				if err := tx.SetChannel(ctx, c); err != nil {
					return err
				}
				resealed++
			}
			return nil
		})
		if err != nil {
			return resealed, err
		}
	}
	return resealed, nil
}
