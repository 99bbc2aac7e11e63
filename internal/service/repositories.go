package service

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"reqpm/internal/repo"
	"reqpm/internal/store"
)

// repositoryRoot is the folder of a channel.
func (s *Service) repositoryRoot(project, channel, target string) string {
	return filepath.Join(s.cfg.StateDir, "repos", project, channel, target)
}

// checkRepositories looks whether clients can use what is published.
func (s *Service) checkRepositories(ctx context.Context) (string, error) {
	good, bad, packages := 0, 0, 0
	_, err := s.eachProject(ctx, store.ProjectFilter{}, func(p store.Project) error {
		all, err := s.cfg.Store.Repositories(ctx, p.ID)
		if err != nil {
			return err
		}
		for _, r := range all {
			found, err := repo.Check(ctx, s.repositoryRoot(p.Name, r.Channel, r.Target), "")
			if err != nil {
				return err
			}
			packages += found.Packages
			if len(found.Problems) > 0 {
				bad++
			} else {
				good++
			}
			if err := s.noteCheck(ctx, r, found); err != nil {
				return err
			}
		}
		return nil
	})
	text := fmt.Sprintf("checked %s with %s", repositories(good+bad), count(packages, "package"))
	if err == nil && bad > 0 {
		err = fmt.Errorf("%s cannot be used as published; the logs of their projects say why", repositories(bad))
	}
	return text, err
}

func repositories(n int) string {
	if n == 1 {
		return "1 repository"
	}
	return fmt.Sprintf("%d repositories", n)
}

// noteCheck keeps what a check found, and tells of it what is new.
func (s *Service) noteCheck(ctx context.Context, r store.Repository, found repo.Checked) error {
	problem := strings.Join(found.Problems, "; ")
	return s.cfg.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.SetRepositoryCheck(ctx, r.ID, problem); err != nil {
			return err
		}
		entry := store.LogEntry{Project: r.Project, Level: "warning", Message: fmt.Sprintf("repository %s/%s: %s", r.Channel, r.Target, problem)}
		switch {
		case problem == r.Problem:
			return nil
		case problem == "":
			entry.Level, entry.Message = "info", fmt.Sprintf("repository %s/%s: all is well again", r.Channel, r.Target)
		}
		if _, err := tx.AddLogEntry(ctx, entry); err != nil {
			return err
		}
		return tx.AddEvent(ctx, store.Event{Kind: "repository", Project: r.Project})
	})
}
