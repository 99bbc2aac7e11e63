package service

import (
	"context"

	"reqpm/internal/source"
)

// Projects answers what is asked of a Git address before there is a project, and checks settings. Package cli has the
// one implementation. Safe for concurrent use.
type Projects interface {
	// Check is an error for settings or targets that no run could begin with. A subject without a project's name has no
	// source: its settings and the targets alone are looked at.
	Check(ctx context.Context, sub Subject, targets []string) error
	// Refs are the branches and tags of a subject's address, which its secrets open.
	Refs(ctx context.Context, sub Subject) ([]source.Ref, error)
	// Files are the requirement files of its ref, the likeliest first.
	Files(ctx context.Context, sub Subject) (commit string, files []File, err error)
}

// File is a requirement file of a repository.
type File struct {
	Path         string `json:"path"`
	Requirements int    `json:"requirements" doc:"those of files that it includes counted"`
	Project      string `json:"project,omitempty" doc:"name of the project that it describes"`
	Chosen       bool   `json:"chosen" doc:"taken when none is named"`
	Why          string `json:"why"`
	Error        string `json:"error,omitempty"`
}
