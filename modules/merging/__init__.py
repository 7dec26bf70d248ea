"""Checkpoint merger: two or three checkpoints, a VAE and LoRAs to a new file, tensor by tensor.

request   what can be asked for, in A1111's vocabulary
plan      names -> files, checked against each other by their headers; what the result will hold
blocks    a multiplier for each block of the UNet
formula   the arithmetic of one tensor
bake      LoRAs under the names of a single file
recipe    what the result says of its origin
run       the story: called by the queue's runner
"""
