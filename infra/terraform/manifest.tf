# What functions.yaml says, in the forms that the other files need. Nothing here
# names a function: a new one is a folder and an entry in the manifest.
locals {
  manifest = yamldecode(file("${path.module}/../../functions/functions.yaml"))
  defaults = local.manifest.defaults

  # Every function with what it leaves out filled in.
  functions = {
    for name, f in local.manifest.functions : name => {
      summary          = f.summary
      trigger          = f.trigger
      public           = lookup(f, "public", false)
      paths            = lookup(f, "paths", [])
      topic            = lookup(f, "topic", "")
      retry            = lookup(f, "retry", { min_backoff = "", max_backoff = "", max_attempts = 0 })
      schedule         = lookup(f, "schedule", "")
      memory           = lookup(f, "memory", local.defaults.memory)
      cpu              = lookup(f, "cpu", local.defaults.cpu)
      timeout          = lookup(f, "timeout", local.defaults.timeout)
      concurrency      = lookup(f, "concurrency", local.defaults.concurrency)
      min_instances    = lookup(f, "min_instances", 0)
      max_instances    = lookup(f, "max_instances", local.defaults.max_instances)
      secrets          = lookup(f, "secrets", [])
      optional_secrets = lookup(f, "optional_secrets", [])
      settings         = lookup(f, "settings", [])
      publishes        = lookup(f, "publishes", [])
      uses             = lookup(f, "uses", [])
      ingress          = local.defaults.ingress[f.trigger]
    }
  }

  # Those that are there once secrets have values.
  deployed  = { for name, f in local.functions : name => f if var.deploy_functions }
  http      = { for name, f in local.deployed : name => f if f.trigger == "http" }
  public    = { for name, f in local.http : name => f if f.public }
  consumers = { for name, f in local.deployed : name => f if f.trigger == "pubsub" }
  jobs      = { for name, f in local.deployed : name => f if f.trigger == "schedule" }

  dead_letter_topic = "dead-letter"
  topics            = toset([for f in local.functions : f.topic if f.topic != ""])

  # Those that Terraform sets itself, in functions.tf: an operator does not.
  computed_setting_names = [
    "GOOGLE_CLOUD_PROJECT", "PUBLIC_BASE_URL", "SCHEDULER_LOCATION", "SCHEDULER_SERVICE_ACCOUNT",
    "SCHEDULER_TARGET", "SUPABASE_URL", "TRUSTED_PROXIES", "VIDEO_BUCKET",
  ]

  setting_names         = toset(flatten([for f in local.functions : f.settings]))
  optional_secret_names = toset(flatten([for f in local.functions : f.optional_secrets]))
  required_secret_names = toset(flatten([for f in local.functions : f.secrets]))
  secret_names          = setunion(local.required_secret_names, var.optional_secrets)

  # The secrets that a function reads in this deployment.
  secrets_of = {
    for name, f in local.functions : name =>
    concat(f.secrets, [for s in f.optional_secrets : s if contains(var.optional_secrets, s)])
  }

  # One entry for each right: "allocate DATABASE_URL".
  reads = merge([
    for name, secrets in local.secrets_of : { for s in secrets : "${name} ${s}" => { function = name, secret = s } }
  ]...)
  publishes = merge([
    for name, f in local.functions : { for t in f.publishes : "${name} ${t}" => { function = name, topic = t } }
  ]...)
  uses = {
    for use in ["bucket", "vertex", "firestore", "scheduler", "secret-reader", "secret-writer"] :
    use => toset([for name, f in local.functions : name if contains(f.uses, use)])
  }

  # Those that send metrics and traces to Google: all, unless a collector is named.
  exports = toset(contains(keys(var.settings), "OTEL_EXPORTER_OTLP_ENDPOINT") ? [] : keys(local.functions))
}

# Connections are what runs out first: each instance opens two to each role that it
# connects as, and a roll-out has old and new instances at once.
locals {
  connections_per_pool = 2
  connections_by_function = {
    for name, f in local.functions : name =>
    f.max_instances * local.connections_per_pool * length([for s in f.secrets : s if endswith(s, "DATABASE_URL")])
  }
  connections             = sum(values(local.connections_by_function))
  connections_rolling_out = ceil(local.connections * local.defaults.pooler.roll_out)

  # How many clients Supabase's transaction pooler admits, by compute size.
  pooler_clients = { nano = 200, micro = 200, small = 400, medium = 600, large = 800, xl = 1000, "2xl" = 1500, "4xl" = 3000 }
  pooler_admits  = local.pooler_clients[local.defaults.pooler.compute]

  # A tenth stays free for people and for other tools.
  compute_order = ["micro", "small", "medium", "large", "xl", "2xl", "4xl"]
  compute_fits  = [for size in local.compute_order : size if local.connections_rolling_out <= local.pooler_clients[size] * 0.9]
  compute_needs = length(local.compute_fits) > 0 ? local.compute_fits[0] : "none"
}

check "connections" {
  assert {
    condition     = local.connections_rolling_out <= local.pooler_admits * 0.9
    error_message = "During a roll-out functions may open ${local.connections_rolling_out} connections; the pooler of compute size ${local.defaults.pooler.compute} admits ${local.pooler_admits}, of which a tenth is to stay free. The smallest size that fits: ${local.compute_needs}."
  }
}
