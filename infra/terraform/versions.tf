# One deployment of geminivideo: one Google Cloud project, one Supabase project.
# infra/docs/runbook.md and the README's section Deploying say how to apply it.
terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.0"
    }
  }
}

provider "google" {
  project = var.project_id
  region  = var.region
}

data "google_project" "this" {
  project_id = var.project_id
}
